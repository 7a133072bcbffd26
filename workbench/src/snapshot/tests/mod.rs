//! Tests of the room as a whole: runs made by hand, held against each other and kept in files.

mod agreement;
mod cause;
mod difference;
mod fixture;
mod ranges;
mod round_trip;
mod stored;
