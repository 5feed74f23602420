//! The manifests of an environment as texts: what is sent to whoever runs it, and read there once more.

use super::declare::Kind;
use super::decoder::{View, begin, text_fits};
use super::load::{ENVIRONMENT_FILE, Place, SERVICE_FILE, load, load_from, unreadable};
use super::manifest::{self, ENVIRONMENT};
use super::problem::{Format, Problem, Problems, Source};
use model::Environment;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// An environment's folder, and the texts of the manifests in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Texts {
    /// The folder: absolute, links followed.
    pub folder: PathBuf,
    /// The texts by their path below the folder, with `/`.
    pub files: BTreeMap<String, String>,
}

impl Texts {
    /// Reads the manifests in `dir` and checks them; what they say comes with their texts.
    ///
    /// # Errors
    /// As for [`load`]; all mistakes at once.
    pub fn gather(dir: &Path) -> Result<(Texts, Environment), Problems> {
        let environment = load(dir)?;
        let whole = |why: io::Error| Problems::one(unreadable(dir, &format!("cannot be read: {why}"), ""));
        let folder = dir.canonicalize().map_err(whole)?;
        let environment_file = fs::read_to_string(dir.join(ENVIRONMENT_FILE)).map_err(whole)?;
        let mut files = BTreeMap::new();
        for path in service_files(&environment_file) {
            let text = fs::read_to_string(dir.join(&path)).map_err(whole)?;
            files.insert(path, text);
        }
        files.insert(ENVIRONMENT_FILE.to_owned(), environment_file);
        Ok((Texts { folder, files }, environment))
    }

    /// What they say. Folders of services are not looked for where there is no such folder on this machine.
    ///
    /// # Errors
    /// Every problem of every file at once; a manifest that is missing is one too.
    pub fn read(&self) -> Result<Environment, Problems> {
        load_from(self)
    }

    /// The services' folders that are not there on this machine, where somebody is to start them.
    pub fn missing_folders(&self, environment: &Environment) -> Vec<PathBuf> {
        let folders = environment.services.iter().map(|s| s.folder.clone());
        folders.filter(|folder| !folder.is_dir()).collect()
    }
}

/// The paths of the services' manifests that the text of an `environment.toml` names.
fn service_files(text: &str) -> Vec<String> {
    let source = Source { file: ENVIRONMENT_FILE.to_owned(), text: text.to_owned(), format: Format::Toml };
    let (mut decoder, tree) = begin(&source, &ENVIRONMENT, false);
    let view = View::whole_file(&tree, &ENVIRONMENT);
    let environment = view.and_then(|view| manifest::environment(&mut decoder, &view));
    let members = environment.map(|e| e.services).unwrap_or_default();
    let fits = members.into_iter().filter(|m| text_fits(&Kind::Folder, &m.path).is_ok());
    fits.map(|m| key_of(&Path::new(&m.path).join(SERVICE_FILE))).collect()
}

/// A path as a key: its names with `/` between them, so that `./a//b` and `a/b` are the same.
fn key_of(path: &Path) -> String {
    let names = path.components().filter(|c| !matches!(c, Component::CurDir));
    names.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect::<Vec<_>>().join("/")
}

impl Place for Texts {
    fn read(&self, path: &Path) -> (Option<Source>, Vec<Problem>) {
        let file = self.folder.join(path);
        match self.files.get(&key_of(path)) {
            Some(text) => {
                let file = file.display().to_string();
                (Some(Source { file, text: text.clone(), format: Format::Toml }), Vec::new())
            }
            None => (None, vec![unreadable(&file, "was not sent", "send it with the others")]),
        }
    }

    fn folder(&self, path: &str) -> Result<PathBuf, (String, String)> {
        let folder = self.folder.join(path);
        Ok(folder.canonicalize().unwrap_or(folder))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shop() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop")
    }

    #[test]
    fn texts_say_what_the_folder_says() {
        let (texts, environment) = Texts::gather(&shop()).unwrap();
        assert_eq!(environment, load(&shop()).unwrap());
        assert_eq!(texts.files.len(), 1 + environment.services.len());
        assert_eq!(texts.read().unwrap(), environment);
        assert!(texts.missing_folders(&environment).is_empty());
    }

    #[test]
    fn texts_that_are_wrong_or_missing_are_told_all_at_once() {
        let (mut texts, _) = Texts::gather(&shop()).unwrap();
        texts.files.remove("search/service.toml");
        texts.files.insert("item/service.toml".into(), "name = \"item\"\n[run]\ncommnad = [\"x\"]\n".into());
        texts.files.insert("opbox/service.toml".into(), "name = \"box\"\n".into());
        let problems = texts.read().unwrap_err().to_string();
        for words in ["search/service.toml: was not sent", "commnad", "calls this service \"opbox\""] {
            assert!(problems.contains(words), "{words} is not in\n{problems}");
        }
    }

    #[test]
    fn a_folder_of_another_machine_is_read_without_being_there() {
        let (mut texts, _) = Texts::gather(&shop()).unwrap();
        texts.folder = PathBuf::from("/no/such/folder");
        let environment = texts.read().unwrap();
        let folders = texts.missing_folders(&environment);
        assert_eq!(folders.len(), environment.services.len());
        assert!(folders.contains(&PathBuf::from("/no/such/folder/item")));
    }

    #[test]
    fn paths_are_the_same_however_they_are_written() {
        assert_eq!(key_of(Path::new("./a//b/./service.toml")), "a/b/service.toml");
    }
}
