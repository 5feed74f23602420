//! Reads an environment's folder: its manifest and every service's, all problems of all files at once.

use super::declare::Kind;
use super::decoder::{Decoder, View, as_text, begin, text_fits};
use super::manifest::{self, ENVIRONMENT, SERVICE, no_such_service};
use super::problem::{Format, Problem, Problems, Source};
use model::{
    Environment, EnvironmentManifest, EnvironmentService, Member, Preset, ServiceKind, ServiceManifest,
    ServiceName,
};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The manifest of an environment, in its folder.
pub const ENVIRONMENT_FILE: &str = "environment.toml";

/// The manifest of a service, in its folder.
pub const SERVICE_FILE: &str = "service.toml";

/// A manifest that is larger is no manifest.
pub(crate) const MOST_BYTES: u64 = 1 << 20;

/// Reads `environment.toml` in `dir`, the `service.toml` of every service that it names, and checks that they fit
/// together.
///
/// # Errors
/// Every problem of every file at once; files that cannot be read are problems too.
pub fn load(dir: &Path) -> Result<Environment, Problems> {
    load_from(&Disk(dir))
}

/// Where manifests are read from.
pub(crate) trait Place {
    /// The text of the file at `path`, relative to the environment's folder, and what is wrong with it as a file.
    fn read(&self, path: &Path) -> (Option<Source>, Vec<Problem>);

    /// A service's folder, or why it cannot be one and how to mend it.
    ///
    /// # Errors
    /// Both texts.
    fn folder(&self, path: &str) -> Result<PathBuf, (String, String)>;
}

/// A folder of this machine.
struct Disk<'a>(&'a Path);

impl Place for Disk<'_> {
    fn read(&self, path: &Path) -> (Option<Source>, Vec<Problem>) {
        read_source(&self.0.join(path))
    }

    fn folder(&self, path: &str) -> Result<PathBuf, (String, String)> {
        folder(self.0, path)
    }
}

/// Reads an environment's manifests wherever they are.
pub(crate) fn load_from(place: &dyn Place) -> Result<Environment, Problems> {
    let file = Path::new(ENVIRONMENT_FILE);
    let (source, unreadable) = place.read(file);
    let Some(source) = source else { return Err(Problems::of(unreadable).unwrap_or_else(|| gone(file))) };
    let (mut decoder, tree) = begin(&source, &ENVIRONMENT, false);
    let view = View::whole_file(&tree, &ENVIRONMENT);
    let environment = view.as_ref().and_then(|view| manifest::environment(&mut decoder, view));
    let members = environment.as_ref().map_or(&[][..], |e| &e.services);
    let mut files = Vec::new();
    let mut of_services = Vec::new();
    for member in members.iter().filter(|m| text_fits(&Kind::Folder, &m.path).is_ok()) {
        match place.folder(&member.path) {
            Ok(folder) => {
                let (source, problems) = place.read(&Path::new(&member.path).join(SERVICE_FILE));
                of_services.extend(problems);
                files.extend(source.map(|source| (member, folder, source)));
            }
            Err((message, mend)) => report_member(&mut decoder, view.as_ref(), member, message, mend),
        }
    }
    let default = environment.as_ref().map_or(Preset::Default, |e| e.policies);
    let (services, problems) = members_manifests(&files, members, default);
    of_services.extend(problems);
    if let (Some(_), Some(view)) = (&environment, &view) {
        check_routes(&mut decoder, view, &services);
        check_variables(&mut decoder, view, &services);
    }
    let mut problems = decoder.into_problems();
    problems.extend(unreadable);
    problems.extend(of_services);
    match (Problems::of(problems), environment) {
        (Some(problems), _) => Err(problems),
        (None, Some(EnvironmentManifest { name, edge, .. })) => Ok(Environment { name, edge, services }),
        (None, None) => Err(gone(file)),
    }
}

/// Reads the `service.toml` in `dir` alone. What it says of other services cannot be checked then.
///
/// # Errors
/// Every problem of the file at once.
pub fn load_service(dir: &Path) -> Result<ServiceManifest, Problems> {
    let file = dir.join(SERVICE_FILE);
    let (source, mut problems) = read_source(&file);
    let manifest = source.and_then(|source| {
        let (mut decoder, tree) = begin(&source, &SERVICE, false);
        let view = View::whole_file(&tree, &SERVICE);
        let manifest = view.and_then(|view| manifest::service(&mut decoder, &view, Preset::Default));
        problems.extend(decoder.into_problems());
        manifest
    });
    match (Problems::of(problems), manifest) {
        (Some(problems), _) => Err(problems),
        (None, Some(manifest)) => Ok(manifest),
        (None, None) => Err(gone(&file)),
    }
}

/// Reads the text of an `environment.toml`, without looking for its services' folders. `file` is its name, for people.
///
/// # Errors
/// Every problem at once.
pub fn decode_environment(text: &str, file: &str) -> Result<EnvironmentManifest, Problems> {
    let source = Source { file: file.to_owned(), text: text.to_owned(), format: Format::Toml };
    let (mut decoder, tree) = begin(&source, &ENVIRONMENT, false);
    let view = View::whole_file(&tree, &ENVIRONMENT);
    let manifest = view.and_then(|view| manifest::environment(&mut decoder, &view));
    decoder.finish(manifest)
}

/// Reads the text of a `service.toml`. `base` is the preset that holds where it names none.
///
/// # Errors
/// Every problem at once.
pub fn decode_service(text: &str, file: &str, base: Preset) -> Result<ServiceManifest, Problems> {
    let source = Source { file: file.to_owned(), text: text.to_owned(), format: Format::Toml };
    let (mut decoder, tree) = begin(&source, &SERVICE, false);
    let view = View::whole_file(&tree, &SERVICE);
    let manifest = view.and_then(|view| manifest::service(&mut decoder, &view, base));
    decoder.finish(manifest)
}

/// A problem for what cannot be: no manifest, and nothing wrong with it.
pub(crate) fn gone(file: &Path) -> Problems {
    Problems::one(unreadable(file, "cannot be read", ""))
}

/// A problem with a file as a whole.
pub(crate) fn unreadable(file: &Path, message: &str, mend: &str) -> Problem {
    Problem {
        file: file.display().to_string(),
        line: 0,
        column: 0,
        path: String::new(),
        message: message.to_owned(),
        mend: mend.to_owned(),
        source: String::new(),
        width: 1,
    }
}

/// The text of a file. Bytes that are no UTF-8 are a problem and are replaced.
pub(crate) fn read_source(file: &Path) -> (Option<Source>, Vec<Problem>) {
    let bytes = match read_bytes(file) {
        Ok(bytes) => bytes,
        Err((message, mend)) => return (None, vec![unreadable(file, &message, &mend)]),
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let source = Source { file: file.display().to_string(), text, format: Format::Toml };
    let problems = match std::str::from_utf8(&bytes) {
        Ok(_) => Vec::new(),
        Err(bad) => {
            let at = bad.valid_up_to();
            let mend = "save the file as UTF-8".to_owned();
            vec![source.problem(&(at..at + 1), "", "this is no UTF-8".to_owned(), mend)]
        }
    };
    (Some(source), problems)
}

fn read_bytes(file: &Path) -> Result<Vec<u8>, (String, String)> {
    // A manifest is looked for in a folder that was named; other files are named themselves.
    let is_manifest = file.file_name().is_some_and(|name| name == SERVICE_FILE || name == ENVIRONMENT_FILE);
    let told = |error: std::io::Error| {
        let mend = match error.kind() {
            std::io::ErrorKind::NotFound if is_manifest => "write one, or name another folder",
            std::io::ErrorKind::NotFound => "name another file",
            std::io::ErrorKind::PermissionDenied => "let this user read it",
            _ => "",
        };
        (format!("cannot be read: {error}"), mend.to_owned())
    };
    // A pipe or a device would be waited for.
    if !fs::metadata(file).map_err(told)?.is_file() {
        return Err(("is no file".to_owned(), String::new()));
    }
    let mut bytes = Vec::new();
    fs::File::open(file).map_err(told)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err((
            "is larger than 1 MiB".to_owned(),
            "a manifest is shorter; is this the right file?".to_owned(),
        ));
    }
    Ok(bytes)
}

/// Notes a problem with the folder of a member.
fn report_member(
    decoder: &mut Decoder<'_>,
    view: Option<&View<'_>>,
    member: &Member,
    message: String,
    mend: String,
) {
    let items = view.map(|view| view.map("services")).unwrap_or_default();
    let item = items.iter().find(|item| item.entry.key == member.name.as_str());
    let Some(item) = item else { return };
    match item.table() {
        Some(table) if table.get("path").is_some() => decoder.report_at(&table, "path", message, mend),
        _ => decoder.report(&item.entry.key_span, &item.path, message, mend),
    }
}

/// A service's folder: it exists, and it is below `dir` even when links are followed.
fn folder(dir: &Path, path: &str) -> Result<PathBuf, (String, String)> {
    let shown = dir.join(path).display().to_string();
    let whole = dir.join(path).canonicalize().map_err(|error| {
        let mend = format!("make the folder {shown} with a {SERVICE_FILE}, or correct `path`");
        (format!("the folder {shown} cannot be read: {error}"), mend)
    })?;
    let root = dir.canonicalize().map_err(|error| (format!("cannot be read: {error}"), String::new()))?;
    if !whole.starts_with(&root) {
        let mend = "move the service's folder below this one".to_owned();
        return Err((format!("the folder {shown} leads out of {}", dir.display()), mend));
    }
    if !whole.is_dir() {
        return Err((format!("{shown} is no folder"), format!("name the folder with its {SERVICE_FILE}")));
    }
    Ok(whole)
}

/// What the manifests of an environment's services say, and what is wrong with them.
fn members_manifests(
    files: &[(&Member, PathBuf, Source)],
    members: &[Member],
    default: Preset,
) -> (Vec<EnvironmentService>, Vec<Problem>) {
    let mut opened: Vec<_> = files.iter().map(|(_, _, source)| begin(source, &SERVICE, false)).collect();
    let mut services = Vec::new();
    for ((decoder, tree), (member, folder, _)) in opened.iter_mut().zip(files) {
        let Some(view) = View::whole_file(tree, &SERVICE) else { continue };
        let base = member.policies.unwrap_or(default);
        if let Some(manifest) = manifest::service(decoder, &view, base) {
            services.push(settled(manifest, member, folder.clone()));
        }
        check_name(decoder, &view, member);
    }
    for (decoder, tree) in &mut opened {
        if let Some(view) = View::whole_file(tree, &SERVICE) {
            check_outgoing(decoder, &view, members, &services);
        }
    }
    let problems = opened.into_iter().flat_map(|(decoder, _)| decoder.into_problems()).collect();
    (services, problems)
}

/// A service has one name in both manifests.
fn check_name(decoder: &mut Decoder<'_>, view: &View<'_>, member: &Member) {
    if view.name("name").is_some_and(|name| name != member.name) {
        let message = format!("{ENVIRONMENT_FILE} calls this service \"{}\"", member.name);
        decoder.report_at(view, "name", message, format!("write name = \"{}\"", member.name));
    }
}

/// Every service that this one calls is there and can be called.
fn check_outgoing(
    decoder: &mut Decoder<'_>,
    view: &View<'_>,
    members: &[Member],
    services: &[EnvironmentService],
) {
    let Some(outgoing) = view.table("outgoing") else { return };
    for (at, node) in outgoing.list("services").iter().enumerate() {
        let Some(name) = as_text(node).and_then(|text| ServiceName::new(text).ok()) else { continue };
        let path = format!("{}[{at}]", outgoing.path_of("services"));
        if !members.iter().any(|m| m.name == name) {
            let (message, mend) = no_such_service(&name, members.iter().map(|m| m.name.as_str()));
            decoder.report(&node.span, &path, message, mend);
        } else if is_job(&name, services) {
            decoder.report(&node.span, &path, called_job(&name), "remove it".to_owned());
        }
    }
}

fn is_job(name: &ServiceName, services: &[EnvironmentService]) -> bool {
    let job = |s: &&EnvironmentService| s.manifest.kind == ServiceKind::Job;
    services.iter().filter(job).any(|s| s.manifest.name == *name)
}

fn called_job(name: &ServiceName) -> String {
    format!("\"{name}\" is a job: nobody can call it")
}

/// No route leads to a job: nobody listens there.
fn check_routes(decoder: &mut Decoder<'_>, view: &View<'_>, services: &[EnvironmentService]) {
    let Some(edge) = view.table("edge") else { return };
    for item in edge.map("routes") {
        let name = item.text().and_then(|text| ServiceName::new(text).ok());
        if let Some(name) = name.filter(|name| is_job(name, services)) {
            decoder.report(
                &item.entry.node.span,
                &item.path,
                called_job(&name),
                "route to a service".to_owned(),
            );
        }
    }
}

/// No variable of a service in the environment's manifest is one that its app gets for a service that it calls: which
/// those are its own manifest says.
fn check_variables(decoder: &mut Decoder<'_>, view: &View<'_>, services: &[EnvironmentService]) {
    for member in view.map("services") {
        let service = services.iter().find(|s| s.manifest.name.as_str() == member.entry.key);
        let (Some(service), Some(table)) = (service, member.table()) else { continue };
        for item in table.map("environment") {
            if manifest::is_url(&item.entry.key, &service.manifest.outgoing) {
                manifest::refuse_variable(decoder, &item);
            }
        }
    }
}

/// What a service's manifest says, with what its environment says over it.
fn settled(manifest: ServiceManifest, member: &Member, folder: PathBuf) -> EnvironmentService {
    let mut environment = manifest.run.environment.clone();
    environment.extend(member.environment.clone());
    let settings = member.policies.map_or_else(|| manifest.settings.clone(), Preset::settings);
    EnvironmentService { manifest, folder, instances: member.instances, environment, settings }
}
