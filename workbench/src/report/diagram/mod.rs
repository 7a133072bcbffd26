//! The sequence diagram of a run: each host a lifeline, packets as arrows between them, waits as gaps with their length.

mod arrow;
mod canvas;
mod columns;
mod draw;
mod last_timer;
mod page;
mod scene;
mod states;
mod svg;
mod svg_arrow;
mod terminal;
#[cfg(test)]
mod tests;
mod words;

pub use svg::svg;
pub use terminal::render;
