//! One test binary: everything that needs more than one module.

#[cfg(test)]
mod fake_kafka;
#[cfg(test)]
mod scrape;
