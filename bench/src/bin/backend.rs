//! `backend`: what stands behind a proxy that is measured. See the library's
//! `backend` module.

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = bench::backend::Options::parse();
    bench::limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let counts = tasks.block_on(&runtime, bench::backend::run(options))?;
    println!("{counts}");
    Ok(())
}
