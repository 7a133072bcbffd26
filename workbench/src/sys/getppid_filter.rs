//! A seccomp filter that stops a process at getppid(2) and lets everything else pass.
//!
//! The smallest filter that shows whether stopping at chosen calls works here; it is no recorder.

use nix::errno::Errno;

/// Stops this thread, and all that it starts, at getppid(2) for its tracer; without one the call fails with ENOSYS.
///
/// Sets `no_new_privs`, without which only root may have a filter (seccomp(2)).
pub fn trace_getppid() -> nix::Result<()> {
    // linux/bpf_common.h and linux/filter.h: load the call's number, compare, return one of two verdicts.
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0 /* offset of seccomp_data.nr */),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_getppid as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_TRACE),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    nix::sys::prctl::set_no_new_privs()?;
    // SAFETY: `program` points to as many instructions as it says, which live until the kernel has copied them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    Errno::result(result).map(drop)
}
