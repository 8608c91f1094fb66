//! The report in a real browser: layout at three widths, light, dark and printed, by keyboard, without script, by axe-core.
//!
//! The report is that of `journal/`, a part of the journal of a real run. It needs Chromium, Node.js and the modules of
//! `package-lock.json` (`npm ci` in this folder). Without them the tests are ignored; with `CI=true` they fail.
//! `RIDGELINE_BLESS=1` makes the expected pictures anew.

use libtest_mimic::{Arguments, Failed, Trial};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Names of Chromium on Debian, Arch, Fedora and in Google's packages.
const CHROMIUM: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What the tests need beside this program.
struct Tools {
    node: PathBuf,
    chromium: PathBuf,
}

fn main() -> ExitCode {
    let required = std::env::var("CI").as_deref() == Ok("true");
    let tools = find();
    let ignored = tools.is_err() && !required;
    let run = move || checked(tools.as_ref().map_err(Clone::clone)?);
    let trials = vec![
        Trial::test("the_page_is_sound_in_a_browser", run).with_ignored_flag(ignored),
        Trial::test("the_readme_shows_the_report", || excerpt().map_err(Failed::from)),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The tools, or what is missing.
fn find() -> Result<Tools, String> {
    let node = program("node").ok_or("node is not installed")?;
    let chromium = CHROMIUM.iter().find_map(|name| program(name)).ok_or("chromium is not installed")?;
    let modules = here().join("node_modules/playwright-core");
    if !modules.is_dir() {
        return Err(format!("{} is missing: run `npm ci` in {}", modules.display(), here().display()));
    }
    Ok(Tools { node, chromium })
}

/// A program of the path.
fn program(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser")
}

/// Runs `ridgeline report` on the journal of this folder, with further arguments; returns its output.
fn report(arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ridgeline"));
    command.arg("report").arg(here().join("journal")).args(arguments).env_remove("RIDGELINE_LOG");
    let output = command.output().map_err(|error| format!("ridgeline does not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

fn checked(tools: &Tools) -> Result<(), Failed> {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
    std::fs::create_dir_all(&out)?;
    let page = out.join("report.html");
    report(&["--output", page.to_str().ok_or("the target folder is not UTF-8")?])?;
    let mut command = Command::new(&tools.node);
    command
        .arg(here().join("check.mjs"))
        .arg(&page)
        .arg(&tools.chromium)
        .arg(here().join("expected"))
        .arg(&out);
    if std::env::var_os("RIDGELINE_BLESS").is_some() {
        command.arg("--bless");
    }
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}{}", text(&output.stdout), text(&output.stderr)).into())
}

/// README.md shows what `cargo xtask readme crates/lab/tests/browser/journal` cuts.
fn excerpt() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("excerpt");
    let out_text = out.to_str().ok_or("the target folder is not UTF-8")?;
    let cut = report(&["--excerpt", out_text])?.replace(out_text, "docs/figures");
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()));
    let readme = read(&root.join("README.md"))?;
    let (_, rest) = readme.split_once("<!-- excerpt -->\n").ok_or("README.md has no mark")?;
    let (shown, _) = rest.split_once("<!-- end of excerpt -->\n").ok_or("README.md has no second mark")?;
    let again = "run `cargo xtask readme crates/lab/tests/browser/journal`";
    if shown != cut {
        return Err(format!("README.md shows\n{shown}\nand not\n{cut}\n{again}"));
    }
    let name =
        cut.split_once("(docs/figures/").and_then(|(_, rest)| rest.split_once(')')).ok_or("no figure")?.0;
    let (committed, new) = (read(&root.join("docs/figures").join(name))?, read(&out.join(name))?);
    if committed == new { Ok(()) } else { Err(format!("docs/figures/{name} is another figure: {again}")) }
}
