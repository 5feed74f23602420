//! What people look at after a drill: a transcript, pictures, a page. All of it is made from [`sim::report::Report`]
//! alone, so that the same run always looks the same.

pub(crate) mod bar;
pub(crate) mod curve;
pub(crate) mod figures;
pub(crate) mod happening;
pub(crate) mod library;
pub(crate) mod page;
pub(crate) mod picture;
pub(crate) mod shape;
pub(crate) mod story;
pub(crate) mod transcript;
pub(crate) mod words;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
