//! The tenants file as people wrote it: comments and order survive an edit, and a bad edit changes nothing.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use assent_runtime::{
    config::{Environment, Problems},
    tenants::Directory,
};
use tempfile::NamedTempFile;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

const HEAD: &str = "# Tenants, their API keys, numbers and Meta credentials. Made by `assent tenant add`; edit it by hand or by\n\
                    # `assent tenant`, `assent key` and `assent number`. Running processes see a change within a second.\n";

/// The file, locked against other edits by commands of ours until it is dropped.
pub(super) struct TenantsFile {
    path: PathBuf,
    document: DocumentMut,
    /// Lock of the directory: the file itself is replaced by an edit, and with it a lock on it.
    _lock: File,
}

impl TenantsFile {
    /// Opens a file that exists.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        // A link is followed, so that the file it leads to is the one replaced.
        let path = path
            .canonicalize()
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let lock = lock_directory_of(&path)?;
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let document = text
            .parse()
            .with_context(|| format!("{} is not TOML", path.display()))?;
        Ok(Self {
            path,
            document,
            _lock: lock,
        })
    }

    /// Opens the file, or begins a new one.
    pub(super) fn open_or_new(path: &Path) -> anyhow::Result<Self> {
        if path.exists() {
            return Self::open(path);
        }
        let document = HEAD.parse().context("the head of a new file")?;
        Ok(Self {
            path: path.to_owned(),
            document,
            _lock: lock_directory_of(path)?,
        })
    }

    /// The tenants in the order of the file.
    pub(super) fn tenants(&self) -> impl Iterator<Item = &Table> {
        let tenants = self.document.get("tenants").and_then(Item::as_array_of_tables);
        tenants.into_iter().flatten()
    }

    /// A tenant by its name.
    pub(super) fn tenant(&self, id: &str) -> Option<&Table> {
        self.tenants().find(|tenant| text_of(tenant, "id") == id)
    }

    /// The tenants, to be changed.
    pub(super) fn tenants_mut(&mut self) -> anyhow::Result<&mut ArrayOfTables> {
        let item = self
            .document
            .entry("tenants")
            .or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
        item.as_array_of_tables_mut()
            .context("`tenants` is not written as [[tenants]]; edit the file by hand")
    }

    /// A tenant, to be changed.
    pub(super) fn tenant_mut(&mut self, id: &str) -> anyhow::Result<&mut Table> {
        let missing = format!("there is no tenant {id}; see assent tenant list");
        let mut tenants = self.tenants_mut()?.iter_mut();
        tenants.find(|tenant| text_of(tenant, "id") == id).context(missing)
    }

    /// An API key of any tenant, to be changed.
    pub(super) fn key_mut(&mut self, id: &str) -> Option<&mut Table> {
        let tenants = self.tenants_mut().ok()?.iter_mut();
        let keys = tenants.filter_map(|tenant| tenant.get_mut("keys")?.as_array_of_tables_mut());
        keys.flat_map(ArrayOfTables::iter_mut)
            .find(|key| text_of(key, "id") == id)
    }

    /// Replaces the file at once, unless the edit made something wrong that was not wrong before.
    pub(super) fn save(self) -> anyhow::Result<()> {
        let directory = directory_of(&self.path);
        let mut edited = NamedTempFile::new_in(directory)
            .with_context(|| format!("{} cannot be written to", directory.display()))?;
        if let Ok(metadata) = fs::metadata(&self.path) {
            edited.as_file().set_permissions(metadata.permissions())?;
        }
        edited.write_all(self.document.to_string().as_bytes())?;
        edited.as_file().sync_all()?;
        let new = new_problems(&self.path, edited.path());
        if !new.is_empty() {
            bail!("nothing was changed, for this would be wrong:\n  {}", new.join("\n  "));
        }
        edited.persist(&self.path)?;
        File::open(directory)?.sync_all()?;
        Ok(())
    }
}

/// What is wrong with the file at `after` and was not at `before`. Secrets that stand in the environment of the services
/// and not in ours are missing in both.
fn new_problems(before: &Path, after: &Path) -> Vec<String> {
    let environment = Environment::of_process();
    let problems = |path: &Path| Directory::load(path, &environment).err();
    let texts = |problems: Option<Problems>| -> Vec<String> {
        let text = |problem: &assent_runtime::config::Problem| match problem.path.as_str() {
            "" => problem.message.clone(),
            path => format!("{path}: {}", problem.message),
        };
        problems.iter().flat_map(Problems::iter).map(text).collect()
    };
    let known: BTreeSet<String> = texts(before.exists().then(|| problems(before)).flatten())
        .into_iter()
        .collect();
    let missing_here = |text: &String| text.contains("environment variable ") && text.ends_with("is not set");
    texts(problems(after))
        .into_iter()
        .filter(|text| !known.contains(text) && !missing_here(text))
        .collect()
}

fn directory_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn lock_directory_of(path: &Path) -> anyhow::Result<File> {
    let directory = directory_of(path);
    let lock = File::open(directory).with_context(|| format!("there is no directory {}", directory.display()))?;
    lock.lock().context("the directory cannot be locked")?;
    Ok(lock)
}

/// Adds an entry to a list of tables of a tenant.
pub(super) fn add_to(tenant: &mut Table, key: &str, entry: Table) -> anyhow::Result<()> {
    let item = tenant.entry(key).or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    let list = item.as_array_of_tables_mut();
    let list = list.with_context(|| format!("`{key}` is not written as [[tenants.{key}]]; edit the file by hand"))?;
    list.push(entry);
    Ok(())
}

/// The entries of a list of tables of a tenant.
pub(super) fn sub_tables<'t>(tenant: &'t Table, key: &str) -> Vec<&'t Table> {
    let tables = tenant.get(key).and_then(Item::as_array_of_tables);
    tables.into_iter().flatten().collect()
}

/// A text of a table, empty when it is not there.
pub(super) fn text_of(table: &Table, key: &str) -> String {
    table.get(key).and_then(Item::as_str).unwrap_or_default().to_owned()
}
