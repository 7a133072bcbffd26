//! What the kernel refuses is reported with its words and with the place that asked for it.

use workbench::lab::{Lab, LabError};
use workbench::plan::{Netem, NetemPlan, Requirement, RequirementKind, RouteTarget};

use crate::support::namespace::Body;
use crate::support::network::{add_route, add_sysctl, ipv4, network, origin};

pub const BODIES: &[Body] = &[
    ("a_refused_sysctl_with_a_second_choice_leaves_a_note", a_refused_sysctl_with_a_second_choice_leaves_a_note),
    ("a_refused_sysctl_without_one_is_an_error_with_its_origin", a_refused_sysctl_without_one_is_an_error),
    ("a_missing_sysctl_is_skipped_only_where_the_plan_says_so", a_missing_sysctl_is_skipped_only_where_allowed),
    ("a_refused_route_comes_with_the_kernels_words", a_refused_route_comes_with_the_kernels_words),
    ("netem_on_a_kernel_without_it_is_unsupported", netem_on_a_kernel_without_it_is_unsupported),
    ("requirements_are_checked_before_anything_is_built", requirements_are_checked),
    ("sysctls_are_read_as_the_host_sees_them", sysctls_are_read_as_the_host_sees_them),
];

const SYN_RETRIES: &str = "net.ipv4.tcp_syn_retries";

fn a_refused_sysctl_with_a_second_choice_leaves_a_note() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_sysctl(&mut plan, 0, SYN_RETRIES, "0", Some("1"), false);
    let lab = Lab::build(&plan).expect("a lab");
    let [note] = lab.notes() else { panic!("one note: {:?}", lab.notes()) };
    assert_eq!((note.at.as_str(), note.refused.as_str()), ("client", "EINVAL"));
    assert_eq!(note.asked, "net.ipv4.tcp_syn_retries = 0");
    assert_eq!(note.instead, "net.ipv4.tcp_syn_retries = 1");
    assert_eq!(note.origin, origin(5));
    assert_eq!(lab.sysctls().expect("sysctls")["client"][SYN_RETRIES], "1");
}

fn a_refused_sysctl_without_one_is_an_error() {
    let mut plan = network(&["client"], &[]);
    add_sysctl(&mut plan, 0, SYN_RETRIES, "0", None, true);
    let error = Lab::build(&plan).err().expect("the kernel refuses 0");
    let LabError::Refused { at, asked, kernel, origin: place } = error else { panic!("{error}") };
    assert_eq!((at.as_str(), asked.as_str()), ("client", "net.ipv4.tcp_syn_retries = 0"));
    assert_eq!((kernel.as_str(), *place), ("EINVAL", origin(5)));
}

fn a_missing_sysctl_is_skipped_only_where_allowed() {
    let mut plan = network(&["client"], &[]);
    add_sysctl(&mut plan, 0, "net.ipv4.tcp_no_such_thing", "1", None, true);
    let lab = Lab::build(&plan).expect("a lab");
    assert!(lab.notes().is_empty());
    plan.hosts[0].sysctls[0].if_present = false;
    let error = Lab::build(&plan).err().expect("there is none").to_string();
    assert!(error.contains("net.ipv4.tcp_no_such_thing = 1") && error.contains("ENOENT"), "{error}");
}

fn a_refused_route_comes_with_the_kernels_words() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_route(&mut plan, 0, "10.5.0.0".parse().expect("v4"), 16, RouteTarget::Via(ipv4(9, 9)));
    let error = Lab::build(&plan).err().expect("no way to that gateway");
    let LabError::Refused { at, asked, kernel, origin: place } = error else { panic!("{error}") };
    assert_eq!((at.as_str(), asked.as_str()), ("client", "route 10.5.0.0/16 via 10.9.0.10"));
    assert_eq!((kernel.as_str(), *place), ("ENETUNREACH: Nexthop has invalid gateway", origin(4)));
}

/// Whether this kernel has netem, as `tc` finds.
fn tc_has_netem() -> bool {
    let mut tc = std::process::Command::new("tc");
    tc.args(["qdisc", "add", "dev", "lo", "root", "netem"]).output().expect("tc").status.success()
}

fn netem_on_a_kernel_without_it_is_unsupported() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    let netem = Netem { delay_ns: Some(1_000_000), ..Netem::default() };
    plan.links[0].ends[0].netem = Some(NetemPlan { netem, origin: origin(8) });
    let built = Lab::build(&plan);
    if tc_has_netem() {
        built.expect("a lab with netem");
        return;
    }
    let error = built.err().expect("no netem here");
    let LabError::Unsupported { feature, why, remedy, origin: place } = error else { panic!("{error}") };
    assert_eq!((feature.as_str(), *place), ("netem", origin(8)));
    assert_eq!(why, "ENOENT: Specified qdisc kind is unknown");
    assert!(remedy.contains("sch_netem"), "{remedy}");
}

fn requirements_are_checked() {
    let built = |what| {
        let mut plan = network(&["client"], &[]);
        plan.requires = vec![Requirement { what, origin: origin(9) }];
        Lab::build(&plan).map(|_| ())
    };
    built(RequirementKind::Kernel("4.0".to_owned())).expect("newer than that");
    built(RequirementKind::Sysctl(SYN_RETRIES.to_owned())).expect("always there");
    built(RequirementKind::Tool("no-such-program".to_owned())).expect("not the lab's business");
    assert_eq!(built(RequirementKind::Netem).is_ok(), tc_has_netem());
    for what in [RequirementKind::Kernel("99.1".to_owned()), RequirementKind::Sysctl("net.ipv4.nothing".to_owned())] {
        let error = built(what).expect_err("not here");
        let LabError::Unsupported { origin: place, .. } = &error else { panic!("{error}") };
        assert_eq!(**place, origin(9));
    }
}

fn sysctls_are_read_as_the_host_sees_them() {
    let mut plan = network(&["client", "server"], &[("client", "server")]);
    add_sysctl(&mut plan, 0, "net.ipv4.conf.eth0.rp_filter", "2", None, false);
    add_sysctl(&mut plan, 1, "net.ipv4.tcp_retries2", "5", None, false);
    let lab = Lab::build(&plan).expect("a lab");
    let sysctls = lab.sysctls().expect("sysctls");
    assert_eq!(sysctls["client"]["net.ipv4.conf.eth0.rp_filter"], "2");
    assert_eq!(sysctls["client"]["net.ipv4.tcp_retries2"], "15", "the kernel's default");
    assert_eq!(sysctls["server"]["net.ipv4.tcp_retries2"], "5");
    assert_eq!(sysctls["server"]["net.ipv4.tcp_rmem"].split(' ').count(), 3, "several numbers on one line");
    let files = std::fs::read_dir("/proc/sys/net/ipv4").expect("sysctls").flatten();
    let tcp = files.filter(|file| file.file_name().to_string_lossy().starts_with("tcp_")).count();
    let read = sysctls["server"].keys().filter(|name| name.starts_with("net.ipv4.tcp_")).count();
    assert_eq!(read, tcp, "all of them");
}
