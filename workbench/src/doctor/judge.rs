//! What the probe's findings mean: which part of a lab works here, and what mends the others.
//!
//! Pure: the same findings on the same machine give the same checks.

use super::check::{Check, Remedy, State};
use super::machine::Machine;
use super::probe::Step;
use super::trial::Findings;

/// One line of the report: the steps that it stands on, in the order in which they are tried.
struct Feature {
    name: &'static str,
    needed_for: &'static str,
    steps: &'static [Step],
    /// Without it a run is skipped rather than failed, or goes on with less.
    is_optional: bool,
    /// What it is like when it works.
    detail: &'static str,
    /// What mends it, when no switch and no container is to blame.
    remedy: &'static str,
}

const FEATURES: &[Feature] = &[
    Feature {
        name: "namespaces",
        needed_for: "labs: every host is a network namespace",
        steps: &[Step::Unshare, Step::MapIds, Step::Veth],
        is_optional: false,
        detail: "user, network, mount, PID, UTS and IPC; a veth pair was made inside",
        remedy: "a kernel with user and network namespaces and veth, and a sandbox that allows them",
    },
    Feature {
        name: "a /proc of its own",
        needed_for: "labs: process 1 in a PID namespace, so that everything ends with it",
        steps: &[Step::Proc],
        is_optional: false,
        detail: "mounted in a fresh PID namespace",
        remedy: "a sandbox that does not hide parts of /proc",
    },
    Feature {
        name: "ptrace and seccomp",
        needed_for: "recording system calls",
        steps: &[Step::Trace],
        is_optional: false,
        detail: "a process was stopped at a chosen system call",
        remedy: "a sandbox that allows ptrace(2) and seccomp(2)",
    },
    Feature {
        name: "packet sockets",
        needed_for: "recording packets",
        steps: &[Step::PacketSocket],
        is_optional: false,
        detail: "AF_PACKET opened in the namespace",
        remedy: "a kernel with CONFIG_PACKET",
    },
    Feature {
        name: "nf_tables",
        needed_for: "`drop` and `reject`",
        steps: &[Step::NfTables],
        is_optional: false,
        detail: "a table was made in the namespace",
        remedy: "a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET (module nf_tables)",
    },
    Feature {
        name: "nft_fwd_netdev",
        needed_for: "links with something on the wire: a delay, drops, netem",
        steps: &[Step::Forward],
        is_optional: true,
        detail: "a rule that forwards between devices was made in the namespace",
        remedy: "a kernel with CONFIG_NFT_FWD_NETDEV and CONFIG_NETFILTER_INGRESS (module nft_fwd_netdev)",
    },
    Feature {
        name: "sch_netem",
        needed_for: "`netem`: runs that declare it are skipped without it",
        steps: &[Step::Netem],
        is_optional: true,
        detail: "the qdisc was added in the namespace",
        remedy: "a kernel with NET_SCH_NETEM (Ubuntu: package linux-modules-extra-$(uname -r); \
                 Fedora: kernel-modules-extra)",
    },
    Feature {
        name: "tcp_diag",
        needed_for: "recording sockets' timers: runs go on without",
        steps: &[Step::SockDiag],
        is_optional: true,
        detail: "TCP sockets were listed in the namespace",
        remedy: "a kernel with CONFIG_INET_TCP_DIAG (module tcp_diag)",
    },
];

/// Whether the kernel refused the namespaces themselves, so that nothing else could be tried.
pub(super) fn is_refused(findings: &Findings) -> bool {
    FEATURES[0].steps.iter().any(|step| !matches!(findings.get(step), Some(None)))
}

/// One check for each feature.
pub(super) fn features(findings: &Findings, machine: &Machine) -> Vec<Check> {
    FEATURES.iter().map(|feature| check(feature, findings, machine)).collect()
}

fn check(feature: &Feature, findings: &Findings, machine: &Machine) -> Check {
    let state = match first_failure(feature, findings) {
        None => State::Ok { detail: feature.detail.to_owned() },
        Some(why) => {
            let remedy = remedy(feature, findings, machine);
            if feature.is_optional { State::Warning { why, remedy } } else { State::Missing { why, remedy } }
        }
    };
    Check { name: feature.name.to_owned(), needed_for: feature.needed_for.to_owned(), state }
}

fn first_failure(feature: &Feature, findings: &Findings) -> Option<String> {
    feature.steps.iter().find_map(|step| match findings.get(step) {
        Some(None) => None,
        Some(Some(words)) => Some(format!("{}: {words}", attempt(*step))),
        None => Some(format!("{}: not tried, because something before it failed", attempt(*step))),
    })
}

fn attempt(step: Step) -> &'static str {
    match step {
        Step::Unshare => "unshare(2) of a user namespace and others",
        Step::MapIds => "mapping the user's id",
        Step::Veth => "a veth pair in the fresh network namespace",
        Step::PacketSocket => "an AF_PACKET socket",
        Step::NfTables => "an nf_tables table",
        Step::Forward => "an nf_tables rule that forwards to a device",
        Step::Netem => "a netem qdisc",
        Step::SockDiag => "a list of TCP sockets through sock_diag(7)",
        Step::Proc => "mounting /proc in the fresh PID namespace",
        Step::Trace => "stopping a process at a system call",
    }
}

/// A container's default confinement explains most refusals; a switch has a line and a remedy of its own.
fn remedy(feature: &Feature, findings: &Findings, machine: &Machine) -> Remedy {
    let is_namespaces = feature.steps.contains(&Step::Unshare);
    if machine.is_container && !feature.is_optional {
        return Remedy::Text(
            "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
             --security-opt systempaths=unconfined"
                .into(),
        );
    }
    if is_refused(findings) && !is_namespaces {
        return Remedy::Text("mend `namespaces` first".into());
    }
    let is_switched_off = machine.max_user_namespaces == Some(0)
        || !machine.is_root && (machine.userns_clone == Some(0) || machine.apparmor_restricts.is_some_and(|v| v != 0));
    if is_namespaces && is_switched_off {
        return Remedy::Text("mend the switch below that says `missing`".into());
    }
    Remedy::Text(feature.remedy.to_owned())
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
