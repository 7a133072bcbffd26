//! Evidence that no recorder writes gives some verdict, and never a panic. Files with all of it are in
//! `tests/recorded.rs`.

use super::build::judged;
use crate::evidence::{Arg, Ending};
use crate::timeline::fixture::{Fixture, error, timeout, value};

#[test]
fn a_run_without_anything_in_it_has_a_verdict() {
    for how in [Ending::Exit(0), Ending::Deadline, Ending::Signal("SIGTERM".into()), Ending::ExecFailed("EIO".into())] {
        let mut run = Fixture::new("program");
        run.evidence.processes.clear();
        run.end(0, how);
        judged(&run);
    }
}

#[test]
fn calls_at_one_stamp_have_a_verdict() {
    let mut run = Fixture::syn_retries();
    for call in &mut run.evidence.calls {
        (call.entry_ns, call.exit_ns) = (5, Some(5));
    }
    judged(&run);
}

#[test]
fn waits_without_bounds_that_ran_out_have_a_verdict() {
    let mut run = Fixture::new("program");
    run.connected(100, 5).option(200, 5, "TCP_USER_TIMEOUT", i64::MAX);
    for us in [1_000, 2_000, 3_000] {
        let args = vec![Arg::Pointer(8), timeout(u64::MAX)];
        run.call((us, us + 900_000), "futex", args, error("ETIMEDOUT"));
        run.poll((us, us + 900_000), 5, i64::MAX / 1_000_000, "");
    }
    judged(run.exit(1_000_000));
    judged(run.receive((10, 990_000), 5, error("ETIMEDOUT")));
}

#[test]
fn descriptors_without_bounds_have_a_verdict() {
    let mut run = Fixture::new("program");
    for fd in [i32::MIN, -1, i32::MAX] {
        run.connected(100, fd).epoll(200, fd, &[(fd, i64::MIN)]).epoll_wait((300, 400), fd, -1, &[i64::MIN]);
        run.call((500, 510), "dup2", vec![Arg::Fd(fd), Arg::Fd(fd)], value(i64::MAX)).close(600, fd);
    }
    judged(run.exit(1_000));
}
