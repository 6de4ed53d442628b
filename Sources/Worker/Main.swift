@main struct MainWorker { static func main() {} }
