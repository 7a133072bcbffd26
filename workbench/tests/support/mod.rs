//! What several test files need.

pub mod capture;
pub mod namespace;
pub mod network;
