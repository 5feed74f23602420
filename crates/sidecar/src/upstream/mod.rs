//! The side towards instances: connections that are kept, and attempts that use them.

pub(crate) mod leg;
pub(crate) mod pool;
