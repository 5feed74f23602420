//! Messages as the compiler of protobuf writes them: never edited, and seen by nobody outside of this crate.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::all)]

pub(crate) mod outrigger;
pub(crate) mod xds;

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_generated_is_of_the_sources_as_they_are() {
        let pairs = [
            (include_str!("xds.rs"), include_bytes!("../../../../proto/xds.proto").as_slice()),
            (include_str!("outrigger.rs"), include_bytes!("../../../../proto/outrigger.proto").as_slice()),
        ];
        for (generated, source) in pairs {
            let line = format!("//! Source {:016x}.", crate::xds::resource::version_of(source));
            let mend = "run cargo run --manifest-path proto/generate/Cargo.toml";
            assert!(generated.lines().any(|known| known == line), "the source has changed: {mend}");
        }
    }
}
