import ArgumentParser
struct SpeedCommand: AsyncParsableCommand {
    static var processors: Int { 2 }
}
