//! One integration test binary: a folder per area, named as in `src`. A new area is a folder and a line here.

mod dev;
