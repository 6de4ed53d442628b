@main struct MainRenderer { static func main() {} }
