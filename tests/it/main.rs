//! One test binary: what the program promises, seen from outside.

mod config;
mod live;
