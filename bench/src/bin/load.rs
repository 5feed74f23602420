//! `load`: the caller. See the library's `load` module.

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = bench::load::Options::parse();
    let json = options.output == "json";
    bench::limits::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    let report = tasks.block_on(&runtime, bench::load::run(options))?;
    match json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{report}"),
    }
    Ok(())
}
