//! The whole way from a file's text to a checked scenario.

use super::error::Diagnostics;
use super::model::Scenario;
use super::source::SourceFile;
use super::{addresses, check, decode, syntax};

/// Parses a scenario and checks everything in it that does not need a machine.
///
/// # Errors
///
/// All that is wrong with the file, at once. Only a text that is not KDL 2.0 is told alone, because nothing can be said
/// about what it declares.
pub fn parse(source: &SourceFile) -> Result<Scenario, Diagnostics> {
    let document = syntax::document(source)?;
    let mut problems = Vec::new();
    let mut scenario = decode::scenario(source, &document, &mut problems);
    addresses::resolve(&mut scenario.links, &mut problems);
    check::check(&scenario, &mut problems);
    if problems.is_empty() { Ok(scenario) } else { Err(Diagnostics::new(source, problems)) }
}
