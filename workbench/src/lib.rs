//! What ends a network operation, after how long, and which timer did it.
//!
//! The code is a pipeline, one type for each phase, one direction:
//!
//! ```text
//! KDL text -> Scenario -> Plan -> (engine: agent in a lab) -> Evidence -> Timeline -> Verdict -> report, snapshot
//! ```
//!
//! [`scenario`] parses and never acts; [`plan`] decides; [`engine`] chooses where to act, [`agent`] acts, with [`lab`]
//! and [`record`]; everything after [`evidence`] is pure and runs again from a file.

pub mod agent;
pub mod cli;
pub mod commands;
pub mod doctor;
pub mod engine;
pub mod evidence;
pub mod exit_code;
pub mod kernel_model;
pub mod kernels;
pub mod lab;
pub mod peers;
pub mod plan;
pub mod programs;
pub mod record;
pub mod report;
pub mod scenario;
pub mod snapshot;
#[expect(unsafe_code, reason = "the one place for it; each block says why it is sound")]
pub mod sys;
pub mod timeline;
pub mod verdict;
