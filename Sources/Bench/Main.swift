@main struct MainBench { static func main() {} }
