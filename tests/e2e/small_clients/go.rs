//! The Go client: its own tests, with the standard library's checks of handlers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::clients::run;
use crate::router::{Home, repository};

/// A program that logs with the client, built once.
pub fn driver() -> (Home, Command) {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let program = BUILT.get_or_init(|| {
        let project = project("go-driver");
        run(go(&project).args(["build", "-o", "driver", "."]));
        project.join("driver")
    });
    (Home::new(), Command::new(program))
}

/// A module with the driver and the client. It stays, as build results do.
fn project(name: &str) -> PathBuf {
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(project.join("weir")).unwrap();
    std::fs::write(project.join("go.mod"), "module example.com/shop\n\ngo 1.22\n").unwrap();
    let scripts = repository().join("tests/clients/small");
    std::fs::copy(repository().join("examples/clients/go/weir.go"), project.join("weir/weir.go")).unwrap();
    std::fs::copy(scripts.join("weir_test.go"), project.join("weir/weir_test.go")).unwrap();
    std::fs::copy(scripts.join("driver.go"), project.join("main.go")).unwrap();
    project
}

/// Runs a program in place of the driver.
pub fn run_main(program: &str) {
    let project = project("go-snippet");
    std::fs::write(project.join("main.go"), program).unwrap();
    run(go(&project).args(["run", "."]).env_remove("WEIR_TOKEN"));
}

fn go(project: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(project).env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
    command
}

#[test]
fn its_records_are_what_the_standard_library_asks_of_a_handler() {
    let project = project("go-tests");
    run(go(&project).args(["vet", "./..."]));
    run(go(&project).args(["test", "-count=1", "./weir"]));
}
