//! What a user is told on machines that differ from this one, told from made-up findings.

use super::super::distribution::Family;
use super::super::switches;
use super::*;

const STEPS: [Step; 10] = [
    Step::Unshare,
    Step::MapIds,
    Step::Veth,
    Step::PacketSocket,
    Step::NfTables,
    Step::Forward,
    Step::Netem,
    Step::SockDiag,
    Step::Proc,
    Step::Trace,
];

fn machine() -> Machine {
    Machine {
        family: Family::Debian,
        path: vec![],
        workbench: "/usr/bin/workbench".into(),
        is_root: false,
        is_container: false,
        kernel: String::new(),
        ptrace_scope: None,
        apparmor_restricts: None,
        userns_clone: None,
        max_user_namespaces: Some(1000),
    }
}

fn all_well() -> Findings {
    STEPS.into_iter().map(|step| (step, None)).collect()
}

/// Everything went well up to this step, which was refused, and nothing was tried after it.
fn refused_at(step: Step) -> Findings {
    let mut findings: Findings = STEPS.into_iter().take_while(|s| *s != step).map(|s| (s, None)).collect();
    findings.insert(step, Some("Operation not permitted (errno 1)".into()));
    findings
}

/// Every check of the kernel that is not fine, as `NAME: REMEDY`.
fn complaints(findings: &Findings, machine: &Machine) -> Vec<String> {
    let mut checks = features(findings, machine);
    checks.extend(switches::examine(machine, is_refused(findings)));
    let complaint = |check: Check| match check.state {
        State::Ok { .. } => None,
        State::Missing { remedy, .. } => Some(format!("missing {}: {remedy:?}", check.name)),
        State::Warning { remedy, .. } => Some(format!("warning {}: {remedy:?}", check.name)),
    };
    checks.into_iter().filter_map(complaint).collect()
}

#[test]
fn a_machine_on_which_everything_works_gets_no_complaint_whatever_its_switches_say() {
    assert_eq!(complaints(&all_well(), &machine()), Vec::<String>::new());
    let strict = Machine {
        ptrace_scope: Some(2),
        apparmor_restricts: Some(1),
        userns_clone: Some(0),
        max_user_namespaces: Some(0),
        ..machine()
    };
    assert_eq!(complaints(&all_well(), &strict), Vec::<String>::new());
}

#[test]
fn apparmors_restriction_lets_unshare_succeed_and_is_mended_by_a_profile_for_this_binary() {
    let ubuntu = Machine { apparmor_restricts: Some(1), ..machine() };
    let complaints = complaints(&refused_at(Step::Veth), &ubuntu);
    let profile =
        r#"missing kernel.apparmor_restrict_unprivileged_userns: Profile { attachment: "/usr/bin/workbench" }"#;
    assert!(complaints.contains(&profile.to_owned()), "{complaints:#?}");
}

#[test]
fn root_is_never_told_to_change_a_switch_that_binds_only_users() {
    let root = Machine { is_root: true, apparmor_restricts: Some(1), userns_clone: Some(0), ..machine() };
    let complaints = complaints(&refused_at(Step::Unshare), &root);
    assert!(complaints.iter().all(|c| !c.contains("kernel.")), "{complaints:#?}");
}

#[test]
fn a_switch_that_forbids_namespaces_comes_with_the_command_that_allows_them() {
    for (locked, command) in [
        (Machine { max_user_namespaces: Some(0), ..machine() }, "sysctl -w user.max_user_namespaces=10000"),
        (Machine { userns_clone: Some(0), ..machine() }, "sysctl -w kernel.unprivileged_userns_clone=1"),
    ] {
        let complaints = complaints(&refused_at(Step::Unshare), &locked);
        assert!(complaints.iter().any(|c| c.contains(command)), "{complaints:#?}");
        assert!(complaints[0].contains("mend the switch below"), "{complaints:#?}");
    }
}

#[test]
fn a_kernel_without_netem_is_warned_about_and_can_still_run_the_rest() {
    let mut findings = all_well();
    findings.insert(Step::Netem, Some("Specified qdisc kind is unknown (errno 2)".into()));
    let complaints = complaints(&findings, &machine());
    assert_eq!(complaints.len(), 1);
    assert!(complaints[0].starts_with("warning sch_netem"), "{complaints:?}");
}

#[test]
fn a_container_is_told_how_to_be_started() {
    let container = Machine { is_container: true, is_root: true, ..machine() };
    let complaints = complaints(&refused_at(Step::Proc), &container);
    assert!(complaints[0].contains("systempaths=unconfined"), "{complaints:?}");
}

#[test]
fn what_was_never_tried_counts_as_missing() {
    let checks = features(&Findings::new(), &machine());
    assert!(checks.iter().all(|check| !matches!(check.state, State::Ok { .. })), "{checks:#?}");
}

#[test]
fn yama_stands_in_the_way_only_when_nobody_may_trace() {
    for (scope, is_missing) in [(0, false), (1, false), (2, false), (3, true)] {
        let checks = switches::examine(&Machine { ptrace_scope: Some(scope), ..machine() }, false);
        let yama = checks.iter().find(|check| check.name.contains("yama")).expect("a line for Yama");
        assert_eq!(yama.is_missing(), is_missing, "ptrace_scope {scope}");
    }
}
