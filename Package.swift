// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let systemPackage: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

func system(_ name: String, _ pkgConfig: String, _ apt: String) -> Target {
    .systemLibrary(name: name, path: "Sources/\(name)", pkgConfig: pkgConfig, providers: [.apt([apt])])
}

let package = Package(
    name: "quire",
    products: [
        .executable(name: "quire", targets: ["Coordinator"]),
        .executable(name: "quire-worker", targets: ["Worker"]),
        .executable(name: "quire-render", targets: ["Renderer"]),
        .executable(name: "quire-bench", targets: ["Bench"]),
        .executable(name: "quire-gpu-bench", targets: ["GPUBench"]),
        .executable(name: "quire-fake-worker", targets: ["FakeWorker"]),
        .executable(name: "quire-soak", targets: ["Soak"]),
        .library(name: "quire-power-cut", type: .dynamic, targets: ["PowerCut"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        system("CCrypto", "libcrypto", "libssl-dev"),
        system("CEXIF", "libexif", "libexif-dev"),
        system("CFreeType", "freetype2", "libfreetype-dev"),
        system("CJPEG", "libjpeg", "libjpeg62-turbo-dev"),
        system("CLibPQ", "libpq", "libpq-dev"),
        system("COpenBLAS", "openblas", "libopenblas-pthread-dev"),
        system("CPNG", "libpng", "libpng-dev"),
        system("CPoppler", "poppler-glib", "libpoppler-glib-dev"),
        system("CPopplerCore", "poppler", "libpoppler-private-dev"),
        system("CTIFF", "libtiff-4", "libtiff-dev"),

        .target(name: "CKernels", cSettings: [.unsafeFlags(["-O3"])]),
        .target(
            name: "CUDAKernels", exclude: ["kernels"],
            cSettings: [.unsafeFlags(["-std=c23"])], linkerSettings: [.linkedLibrary("dl")]),
        .target(name: "TextDistance", swiftSettings: settings),
        .target(name: "Digest", dependencies: ["CCrypto", systemPackage], swiftSettings: settings),
        .target(
            name: "Migrations", path: "migrations",
            resources: [
                .embedInCode("m0001_queue.sql"), .embedInCode("m0002_functions.sql"), .embedInCode("m0003_roles.sql"),
                .embedInCode("m0004_lone_pages.sql"), .embedInCode("m0005_commands.sql"),
                .embedInCode("m0006_faults.sql"), .embedInCode("m0008_orders.sql"),
                .embedInCode("m0009_named_leases.sql"), .embedInCode("m0010_absent_files.sql"),
                .embedInCode("m0011_page_notes.sql"),
            ], swiftSettings: settings),
        .target(
            name: "Shared", dependencies: ["CLibPQ", "CProcess", "Digest", "Migrations", systemPackage],
            swiftSettings: settings),
        .target(name: "CPictures", dependencies: ["CJPEG", "CPNG"]),
        .target(name: "CProcess"),
        .target(
            name: "CPDFCore", dependencies: ["CFreeType", "CPictures", "CPopplerCore"],
            cxxSettings: [.headerSearchPath("."), .unsafeFlags(["-std=c++17", "-O2"])]),
        .target(name: "Rendering", dependencies: ["CProcess", systemPackage], swiftSettings: settings),
        .target(
            name: "Inference", dependencies: ["CKernels", "CUDAKernels", systemPackage],
            swiftSettings: settings),

        .executableTarget(
            name: "Renderer",
            dependencies: [
                "CEXIF", "CJPEG", "CPDFCore", "CPictures", "CPNG", "CPoppler", "CProcess", "CTIFF", "Rendering",
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "Coordinator",
            dependencies: [
                "CCrypto", "CProcess", "Digest", "Inference", "Rendering", "Shared", "TextDistance", argumentParser,
                systemPackage,
            ],
            swiftSettings: settings),
        .target(name: "Claiming", dependencies: ["Shared", systemPackage], swiftSettings: settings),
        .target(
            name: "ArchiveFiles", dependencies: ["Claiming", "Digest", "Rendering", "Shared", systemPackage],
            swiftSettings: settings),
        .executableTarget(
            name: "Worker",
            dependencies: [
                "ArchiveFiles", "CProcess", "Claiming", "Inference", "Rendering", "Shared", argumentParser,
                systemPackage,
            ],
            swiftSettings: settings),
        .target(
            name: "Parity", dependencies: ["Digest", "Inference", "Rendering", "TextDistance", systemPackage],
            swiftSettings: settings),
        .target(name: "Mutations", dependencies: ["Rendering", systemPackage], swiftSettings: settings),
        .executableTarget(
            name: "Bench",
            dependencies: [
                "COpenBLAS", "Inference", "Mutations", "Parity", "Rendering", "Shared", "TextDistance", argumentParser,
                systemPackage,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "GPUBench", dependencies: ["Inference", "Parity", "TextDistance", argumentParser, systemPackage],
            swiftSettings: settings),

        .target(
            name: "TestSupport", dependencies: ["Shared", systemPackage], path: "Tests/TestSupport",
            swiftSettings: settings),
        .target(
            name: "CUDAShim", path: "Tests/CUDAShim",
            cxxSettings: [.headerSearchPath("."), .unsafeFlags(["-std=c++20", "-O2"])]),
        .target(name: "PowerCut", path: "Tests/PowerCut"),
        .testTarget(
            name: "InferenceTests",
            dependencies: [
                "Bench", "CKernels", "CUDAKernels", "CUDAShim", "Digest", "GPUBench", "Inference", "Parity",
                "TestSupport",
                "TextDistance", systemPackage,
            ],
            exclude: ["Fixtures"],
            swiftSettings: settings),
        .testTarget(
            name: "SharedTests", dependencies: ["Digest", "Migrations", "Shared", "TestSupport", systemPackage],
            swiftSettings: settings),
        .testTarget(
            name: "RenderingTests", dependencies: ["Digest", "Mutations", "Rendering", "TestSupport", systemPackage],
            exclude: ["Fixtures"],
            swiftSettings: settings),
        .testTarget(
            name: "CoordinatorTests",
            dependencies: [
                "Coordinator", "Digest", "Inference", "Rendering", "Shared", "TestSupport", "TextDistance",
                systemPackage,
            ],
            swiftSettings: settings),
        .testTarget(
            name: "WorkerTests",
            dependencies: [
                "ArchiveFiles", "Claiming", "Digest", "Rendering", "Shared", "TestSupport", "Worker", systemPackage,
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "FakeWorker",
            dependencies: [
                "ArchiveFiles", "Claiming", "Digest", "Rendering", "Shared", argumentParser, systemPackage,
            ],
            path: "Tests/FakeWorker",
            swiftSettings: settings),
        .target(
            name: "Chaos", dependencies: ["Digest", "Shared", "TestSupport", systemPackage], path: "Tests/Chaos",
            swiftSettings: settings),
        .executableTarget(
            name: "Soak", dependencies: ["Chaos", "TestSupport", argumentParser, systemPackage], path: "Tests/Soak",
            swiftSettings: settings),
        .testTarget(
            name: "ChaosTests", dependencies: ["Chaos", "TestSupport", systemPackage], swiftSettings: settings),
        .testTarget(
            name: "PipelineTests", dependencies: ["Digest", "Shared", "TestSupport", systemPackage],
            exclude: ["Fixtures"],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
