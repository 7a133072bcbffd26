//! The whole way from a file's text to checked scenarios.

use std::collections::BTreeMap;
use std::sync::Arc;

use kdl::KdlDocument;
use miette::SourceSpan;

use super::combine::{Instance, instances};
use super::error::{Diagnostics, Problem, quoted};
use super::model::{Scenario, SweepValue};
use super::placeholder::Binding;
use super::source::SourceFile;
use super::told::Told;
use super::{addresses, check, decode, include, sweep};

/// With all combinations of the sweeps written out, a scenario is no larger than this: 64 MiB.
const WRITTEN_OUT_LIMIT_BYTES: usize = 64 << 20;

/// Parses a scenario and checks everything in it that does not need a machine. A scenario without sweeps is one; with
/// sweeps, there is one for each combination of their values, and before those one for the runs outside, if there are any.
///
/// # Errors
///
/// All that is wrong with the file and those it uses, at once. Only a text that is not KDL 2.0 is told alone, because nothing
/// can be said about what it declares; and what is wrong with the sweeps themselves, before anything is put in.
pub fn parse(source: &SourceFile) -> Result<Vec<Scenario>, Diagnostics> {
    let refused = |problems| Diagnostics::new(source, problems);
    let mut problems = Vec::new();
    let nodes = include::nodes(source, &mut problems).map_err(refused)?;
    let before = problems.len();
    let items = sweep::items(&nodes, &mut problems);
    if problems.len() > before {
        // Combinations of wrong sweeps would be told wrongly; what stands outside them can be told all the same.
        let mut outside = KdlDocument::new();
        *outside.nodes_mut() = nodes.into_iter().filter(|node| node.name().value() != "sweep").collect();
        decode::scenario(&Arc::new(source.clone()), &outside, &mut problems);
        return Err(refused(problems));
    }
    let instances = instances(source, &items);
    let size: usize = source.parts().map(|(_, _, text)| text.len()).sum();
    if instances.len() > 1 && size.saturating_mul(instances.len()) > WRITTEN_OUT_LIMIT_BYTES {
        let message = format!("{} combinations of a scenario of {size} bytes are too much", instances.len());
        return Err(refused(vec![Problem::new(message).help("sweep over fewer values, or split the file")]));
    }
    let shared = Arc::new(source.clone());
    let mut told = Told::default();
    told.add(usize::MAX, problems);
    let mut scenarios = Vec::new();
    for (index, instance) in instances.iter().enumerate() {
        let mut problems = Vec::new();
        scenarios.push(scenario(&shared, instance, &mut problems));
        told.add(index, problems);
        if told.is_enough() && instances.len() > 1 {
            break;
        }
    }
    told.add(usize::MAX, runs_of_one_name(&scenarios));
    let values: Vec<Vec<Binding>> = instances.into_iter().map(|instance| instance.values).collect();
    let problems = told.once(&values);
    if problems.is_empty() { Ok(scenarios) } else { Err(refused(problems)) }
}

fn scenario(source: &Arc<SourceFile>, instance: &Instance, problems: &mut Vec<Problem>) -> Scenario {
    let mut scenario = decode::scenario(source, &instance.document, problems);
    let value = |binding: &Binding| SweepValue { name: binding.name.value.clone(), value: binding.text.clone() };
    scenario.sweep = instance.values.iter().map(value).collect();
    for run in scenario.runs.iter_mut().filter(|_| !instance.values.is_empty()) {
        let (base, _, text) = source.part_at(run.name.span.offset());
        let start = run.name.span.offset() - base;
        let spelled = text.get(start..start + run.name.span.len());
        run.template = spelled.map(|spelled| spelled.trim_matches(['#', '"']).to_owned());
    }
    addresses::resolve(&mut scenario.links, problems);
    check::check(&scenario, problems);
    scenario
}

/// Runs of different instances whose names came out the same: they would share a snapshot.
fn runs_of_one_name(scenarios: &[Scenario]) -> Vec<Problem> {
    let mut seen: BTreeMap<&str, (usize, SourceSpan)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        for name in scenario.runs.iter().map(|run| &run.name).filter(|name| !name.value.is_empty()) {
            let (first, span) = *seen.entry(&name.value).or_insert((index, name.span));
            if first == index {
                continue;
            }
            let problem = Problem::new(format!("two runs are called {}", quoted(&name.value))).at(name.span);
            problems.push(if span == name.span {
                problem
                    .label("for two values")
                    .help("the values differ only in what a name cannot hold; spell them otherwise")
            } else {
                problem.label("again").also(span, "first here").help("rename one of them")
            });
        }
    }
    problems
}
