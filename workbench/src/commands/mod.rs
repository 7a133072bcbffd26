//! The subcommands: each reads its arguments, calls the pipeline and prints.

mod agent;
mod check;
mod compare;
mod dispatch;
mod doctor;
mod files;
mod interrupt;
mod judge;
mod kernel;
mod launch;
mod manual;
mod output;
mod run;
mod show;
mod snapshots;
mod terminal;

pub use dispatch::dispatch;
