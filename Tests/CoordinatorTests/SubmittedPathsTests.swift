import Coordinator
import Glibc
import Shared
import SystemPackage
import TestSupport
import Testing

@Suite struct `Paths of a submission` {
    @Test func `a folder is stored under the closest root`() throws {
        let folder = try TemporaryDirectory()
        try folder.makeFolder("mount/archive/letters")
        let paths = try SubmittedPaths(
            [folder.path.appending("mount/archive/letters")],
            roots: ["local": "/", "nas": folder.path.appending("mount"), "other": folder.path.appending("absent")])
        #expect(paths.source == SourceLocation(root: "nas", path: "archive/letters"))
        #expect(paths.root == folder.path.appending("mount"))
        #expect(paths.paths == [folder.path.appending("mount/archive/letters")])
    }

    @Test func `without a named root the whole path is stored`() throws {
        let folder = try TemporaryDirectory()
        let paths = try SubmittedPaths([folder.path], roots: ["local": "/"])
        #expect(paths.source.root == "local")
        #expect(FilePath("/").appending(paths.source.path.components) == folder.path)
    }

    @Test func `symbolic links and dots make no other batch`() throws {
        let folder = try TemporaryDirectory()
        try folder.makeFolder("real/letters")
        try folder.link("linked", to: "real")
        let direct = try SubmittedPaths([folder.path.appending("real/letters")], roots: ["local": "/"])
        let linked = try SubmittedPaths([folder.path.appending("linked/../linked/letters/.")], roots: ["local": "/"])
        #expect(direct == linked)
    }

    @Test func `the root itself can be submitted`() throws {
        let folder = try TemporaryDirectory()
        try folder.makeFile("a.pdf")
        let paths = try SubmittedPaths([folder.path], roots: ["nas": folder.path])
        #expect(paths.source == SourceLocation(root: "nas", path: ""))
    }

    @Test func `files are stored with the folder that holds all of them`() throws {
        let folder = try TemporaryDirectory()
        try folder.makeFolder("x/y")
        try folder.makeFile("x/a.pdf")
        try folder.makeFile("x/y/b.pdf")
        let one = try SubmittedPaths([folder.path.appending("x/a.pdf")], roots: ["nas": folder.path])
        #expect(one.source.path == "x")
        let both = try SubmittedPaths(
            [folder.path.appending("x/y/b.pdf"), folder.path.appending("x/a.pdf")], roots: ["nas": folder.path])
        #expect(both.source.path == "x")
        #expect(both.paths.count == 2)
    }

    @Test func `names that are not UTF-8 are kept`() throws {
        let folder = try TemporaryDirectory()
        let name = FilePath(bytes: folder.path.bytes + Array("/m\u{FC}".utf8.prefix(2)) + [0xFC])
        #expect(name.withPlatformString { mkdir($0, 0o755) } == 0)
        let paths = try SubmittedPaths([name], roots: ["nas": folder.path])
        #expect(paths.source.path.bytes == [UInt8(ascii: "m"), 0xFC])
    }

    @Test func `a path that is not there is named`() throws {
        let folder = try TemporaryDirectory()
        let error = #expect(throws: CommandFailure.self) {
            try SubmittedPaths([folder.path.appending("absent")], roots: ["local": "/"])
        }
        #expect(error?.status == .usage)
        #expect(error?.description.contains("absent cannot be opened") == true)
    }

    @Test(arguments: ["scans", "scans/out", "scans/new/deep", "link/out", "scans/../scans/out"])
    func `results do not go into the submitted folder`(output: String) throws {
        let folder = try TemporaryDirectory()
        try folder.makeFolder("scans/sub")
        try folder.link("link", to: "scans")
        let paths = try SubmittedPaths([folder.path.appending("scans")], roots: ["local": "/"])
        #expect(throws: CommandFailure.self) { try paths.refuse(output: folder.path.pushing(FilePath(output))) }
    }

    @Test(arguments: ["out", "scans-out", "new/scans"])
    func `results go anywhere else`(output: String) throws {
        let folder = try TemporaryDirectory()
        try folder.makeFolder("scans")
        let paths = try SubmittedPaths([folder.path.appending("scans")], roots: ["local": "/"])
        try paths.refuse(output: folder.path.appending(output))
    }
}
