//! Golden snapshots: claims with reasoned tolerances, kept in insta's format.
