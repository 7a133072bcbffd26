//! What sweeps make of a scenario: which runs, with which names and values, in which labs.

use super::*;
use crate::scenario::{SourceFile, parse};

fn plans(text: &str) -> Vec<Plan> {
    match parse(&SourceFile::new("some/test.kdl", text)) {
        Ok(instances) => build(&instances),
        Err(diagnostics) => panic!("{:?}", diagnostics.problems()),
    }
}

const PRODUCT: &str = r#"
namespace client
namespace server
link client server
sweep retries 1 2 {
    sweep linear 0 4 {
        namespace client {
            sysctl "net.ipv4.tcp_syn_retries" "{retries}"
        }
        run curl in=client "curl -w %{time_total} http://server/{linear}"
    }
    run "nc-{retries}" in=client "true"
}
sweep on #true #false {
    namespace client {
        sysctl "net.ipv4.tcp_syn_retries" 3 if-present="{on}"
    }
    run ping in=client "true"
}
run outside in=client "true"
"#;

#[test]
fn sweep_inside_another_multiplies_and_beside_another_follows() {
    let names: Vec<String> = plans(PRODUCT).into_iter().map(|plan| plan.run).collect();
    let expected = [
        "outside",
        "nc-1",
        "curl-retries-1-linear-0",
        "curl-retries-1-linear-4",
        "nc-2",
        "curl-retries-2-linear-0",
        "curl-retries-2-linear-4",
        "ping-on-true",
        "ping-on-false",
    ];
    assert_eq!(names, expected);
}

#[test]
fn sweep_values_stand_in_the_plan_and_the_name_of_the_file_too() {
    let plans = plans(PRODUCT);
    let curl = plans.iter().find(|plan| plan.run == "curl-retries-2-linear-4").expect("there");
    let values: Vec<_> = curl.sweep.iter().map(|swept| (swept.name.as_str(), swept.value.as_str())).collect();
    assert_eq!(values, [("retries", "2"), ("linear", "4")]);
    assert_eq!(curl.template.as_deref(), Some("curl"));
    assert_eq!(curl.command.argv, ["curl", "-w", "%{time_total}", "http://server/4"]);
    assert_eq!((&plans[0].template, plans[0].sweep.len()), (&None, 0));
    assert_eq!(plans[1].template.as_deref(), Some("nc-{retries}"));
}

#[test]
fn sweep_bodies_add_to_the_hosts_outside_and_to_no_other_run() {
    for plan in plans(PRODUCT) {
        let own: Vec<_> =
            plan.hosts[0].sysctls.iter().filter(|sysctl| sysctl.name == "net.ipv4.tcp_syn_retries").collect();
        let values: Vec<&str> = own.iter().map(|sysctl| sysctl.value.as_str()).filter(|_| own.len() == 1).collect();
        let expected = match plan.run.as_str() {
            "curl-retries-1-linear-0" | "curl-retries-1-linear-4" => Some("1"),
            "curl-retries-2-linear-0" | "curl-retries-2-linear-4" => Some("2"),
            "ping-on-true" | "ping-on-false" => Some("3"),
            _ => None,
        };
        assert_eq!(values.last().copied(), expected, "{}", plan.run);
        assert_eq!(plan.hosts.len(), 2);
    }
}

#[test]
fn sweep_origins_are_the_places_of_the_file() {
    let plan = plans(PRODUCT).into_iter().find(|plan| plan.run == "curl-retries-2-linear-4").expect("there");
    assert_eq!((plan.command.origin.line, plan.command.origin.file.as_str()), (10, "some/test.kdl"));
}

#[test]
fn used_file_is_named_where_it_asked_for_something_and_the_scenario_as_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let part = "// A part.\nnamespace server {\n    drop tcp dport=80\n}\n";
    std::fs::write(folder.path().join("part.kdl"), part).expect("written");
    let file = folder.path().join("a.kdl");
    let text = "use \"part.kdl\"\nnamespace server {\n    drop tcp dport=81\n}\nrun x in=server \"true\"\n";
    std::fs::write(&file, text).expect("written");
    let plans = build(&parse(&SourceFile::read(&file).expect("read")).expect("a scenario"));
    let [first, second] = &plans[0].hosts[0].rules[..] else { panic!("two rules") };
    assert_eq!((first.origin.line, first.origin.file.ends_with("part.kdl")), (3, true));
    assert_eq!(&part[first.origin.offset..][..first.origin.len], "drop tcp dport=80");
    assert_eq!((second.origin.line, second.origin.file.ends_with("a.kdl")), (3, true));
    assert!(plans[0].file.ends_with("a.kdl"));
    let told = plans[0].describe();
    assert!(told.contains("part.kdl:3)") && told.contains("(line 3)"), "{told}");
}
