//! Where the `assent` binary is, or how it is made.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

/// Names the binary to test instead of the one beside the tests.
pub const BINARY_VARIABLE: &str = "ASSENT_TEST_BINARY";

/// When the binary is built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Only if there is none: whoever runs a whole suite has built it with the suite.
    IfMissing,
    /// Always asked for: cargo does nothing if it is up to date. What measures must not measure yesterday's.
    UpToDate,
}

/// The `assent` binary: `ASSENT_TEST_BINARY`, else the one of this very profile, made if need be.
pub(super) fn find(build: Build) -> anyhow::Result<PathBuf> {
    if let Some(given) = std::env::var_os(BINARY_VARIABLE) {
        let given = PathBuf::from(given);
        anyhow::ensure!(given.is_file(), "{BINARY_VARIABLE} names no file: {}", given.display());
        return Ok(given);
    }
    let profile_directory = profile_directory(&std::env::current_exe()?)?;
    let binary = profile_directory.join("assent");
    if build == Build::UpToDate || !binary.is_file() {
        build_into(&profile_directory)?;
    }
    Ok(binary)
}

/// `target/<profile>`, from a program in it or in its `deps`.
fn profile_directory(program: &Path) -> anyhow::Result<PathBuf> {
    let directory = program.parent().context("a program lies in a directory")?;
    let directory = if directory.file_name() == Some(OsStr::new("deps")) {
        directory.parent().context("deps lies in a profile's directory")?
    } else {
        directory
    };
    Ok(directory.to_owned())
}

fn build_into(profile_directory: &Path) -> anyhow::Result<()> {
    let profile = match profile_directory.file_name().and_then(OsStr::to_str) {
        None | Some("debug") => "dev",
        Some(profile) => profile,
    };
    let target = profile_directory
        .parent()
        .context("a profile lies in a target directory")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "assent",
            "--bin",
            "assent",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("run cargo build")?;
    anyhow::ensure!(status.success(), "cargo build of the assent binary failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::profile_directory;
    use std::path::Path;

    #[test]
    fn a_test_in_deps_and_a_program_beside_the_binary_find_the_same_directory() {
        for program in ["/target/release/load", "/target/release/deps/processes-0123"] {
            assert_eq!(
                profile_directory(Path::new(program)).unwrap(),
                Path::new("/target/release")
            );
        }
    }
}
