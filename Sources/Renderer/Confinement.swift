private import CProcess
private import Glibc
import Rendering

/// What this process gives up before it reads a foreign byte: the one place for further walls (seccomp, Landlock).
struct Confinement {
    private let limits: RenderLimits
    private let parent: Int32

    init(_ request: RenderRequest) {
        limits = request.limits
        parent = request.parent
    }

    /// Limits memory, processor time, core dumps and files; ties this process's life to its parent's.
    func apply() throws(RenderError) {
        guard quire_die_with_parent() == 0, quire_no_new_privileges() == 0 else {
            throw RenderError(.broken, "quire-render cannot confine itself: this kernel is too old.")
        }
        // The parent may have died before the kernel was asked to watch it.
        guard getppid() == parent else { _exit(0) }
        try Self.limit(RLIMIT_AS, to: UInt(clamping: limits.memoryBytes))
        try Self.limit(RLIMIT_CORE, to: 0)
        // Output goes through pipes; a library that tries to write a cache file gets an error instead of a signal.
        try Self.limit(RLIMIT_FSIZE, to: 0)
        signal(SIGXFSZ, SIG_IGN)
        Self.allowProcessorSeconds(limits.wholeSecondsPerPage)
    }

    /// So many seconds from now on; the parent watches the wall clock as well.
    static func allowProcessorSeconds(_ seconds: Int) {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let used = UInt(clamping: usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
        var bounds = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &bounds)
        bounds.rlim_cur = min(used + UInt(clamping: seconds) + 1, bounds.rlim_max)
        setrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &bounds)
    }

    private static func limit(_ resource: __rlimit_resource, to value: UInt) throws(RenderError) {
        let kind = __rlimit_resource_t(resource.rawValue)
        var bounds = rlimit()
        guard getrlimit(kind, &bounds) == 0 else { throw RenderError(.broken, "quire-render cannot read its limits.") }
        bounds.rlim_max = min(value, bounds.rlim_max)
        bounds.rlim_cur = bounds.rlim_max
        guard setrlimit(kind, &bounds) == 0 else { throw RenderError(.broken, "quire-render cannot set its limits.") }
    }
}
