//! The machine's switches that decide whether an ordinary user gets a lab, and what each value means.
//!
//! They explain a refusal; whether there is one is for the probe to say. A switch that does not exist forbids nothing.

use super::apparmor;
use super::check::{Check, Remedy, State};
use super::machine::Machine;

/// Every switch with its meaning. `is_refused`: the kernel has refused namespaces, so a switch that forbids them is to
/// blame; where they were granted all the same (root, a profile), it does not matter.
pub(super) fn examine(machine: &Machine, is_refused: bool) -> Vec<Check> {
    let user_namespaces = "labs: a user namespace gives an ordinary user a network of their own";
    let switch =
        |name: &str, needed_for: &str, state| Check { name: name.into(), needed_for: needed_for.into(), state };
    vec![
        switch("user.max_user_namespaces", user_namespaces, max_user_namespaces(machine, is_refused)),
        switch("kernel.unprivileged_userns_clone", user_namespaces, userns_clone(machine, is_refused)),
        switch("kernel.apparmor_restrict_unprivileged_userns", user_namespaces, apparmor(machine, is_refused)),
        switch("kernel.yama.ptrace_scope", "recording system calls", ptrace_scope(machine)),
    ]
}

fn ok(detail: impl Into<String>) -> State {
    State::Ok { detail: detail.into() }
}

fn absent() -> State {
    ok("not on this kernel")
}

/// user_namespaces(7): the limit on user namespaces in this one, for each user.
fn max_user_namespaces(machine: &Machine, is_refused: bool) -> State {
    match machine.max_user_namespaces {
        None => absent(),
        Some(0) if is_refused => State::Missing {
            why: "0: nobody may make one".into(),
            remedy: Remedy::Command("sysctl -w user.max_user_namespaces=10000".into()),
        },
        Some(value) => ok(value.to_string()),
    }
}

/// A switch of Debian's kernels: 0 reserves user namespaces to root.
fn userns_clone(machine: &Machine, is_refused: bool) -> State {
    match machine.userns_clone {
        None => absent(),
        Some(0) if is_refused && !machine.is_root => State::Missing {
            why: "0: only root may make a user namespace".into(),
            remedy: Remedy::Command("sysctl -w kernel.unprivileged_userns_clone=1".into()),
        },
        Some(value) => ok(value.to_string()),
    }
}

/// Ubuntu 23.10 and newer: a process without a profile gets a user namespace in which it has no capability.
fn apparmor(machine: &Machine, is_refused: bool) -> State {
    match machine.apparmor_restricts {
        None => absent(),
        Some(0) => ok("0: not restricted"),
        Some(value) if is_refused && !machine.is_root => State::Missing {
            why: format!("{value}: a user namespace without a profile has no capabilities"),
            remedy: Remedy::Profile { attachment: apparmor::attachment(&machine.workbench) },
        },
        Some(value) => ok(format!("{value}: restricted, but not for this user and binary")),
    }
}

/// Documentation/admin-guide/LSM/Yama.rst. A tracee lives in its lab's user namespace, where the tracer has
/// CAP_SYS_PTRACE; so 1 and 2 do not stand in the way.
fn ptrace_scope(machine: &Machine) -> State {
    match machine.ptrace_scope {
        None => absent(),
        Some(0) => ok("0: a user may trace their own processes"),
        Some(1) => ok("1: only descendants, or with CAP_SYS_PTRACE, which the tracer has in its lab"),
        Some(2) => ok("2: only with CAP_SYS_PTRACE, which the tracer has in its lab"),
        Some(value) => State::Missing {
            why: format!("{value}: nobody may trace, and nobody can lower it before the next boot"),
            remedy: Remedy::Text("set kernel.yama.ptrace_scope=2 or less in /etc/sysctl.d and boot again".into()),
        },
    }
}
