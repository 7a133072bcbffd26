//! Packets at every interface of every host, as a capture sees them. See [`Capture`].

mod capture;

pub use capture::{Capture, CaptureError};
