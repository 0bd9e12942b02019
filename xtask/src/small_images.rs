//! The images the tests use beside the base image: tiny ones, each with one property that a real image in the
//! field has and that breaks a careless agent or engine driver.
//!
//! | image | what is special |
//! |---|---|
//! | `busybox` | musl-free static shell, no bash, no glibc, no sudo |
//! | `empty` | no file at all: no shell, no `/etc/passwd`, no `/tmp` |
//! | `nonroot` | busybox with `USER 1000` |
//! | `web` | two exposed ports, a command that logs a line and serves HTTP on 8080 |
//! | `notebook` | a `jupyter-lab` that serves a page if it finds its password where the real one looks for it |

use crate::engine::Engine;
use crate::image::{self, copy_out};
use crate::paths;
use crate::sh::{self, Context, Result};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

const RECIPE_LABEL: &str = "podbay.recipe";
/// Raise it to have the images made anew everywhere.
const VERSION: u32 = 2;

struct Small {
    name: &'static str,
    has_busybox: bool,
    changes: &'static [&'static str],
}

const SMALL: [Small; 5] = [
    Small { name: "busybox", has_busybox: true, changes: &[r#"CMD ["/bin/sh"]"#, "ENV PATH=/bin"] },
    Small { name: "empty", has_busybox: false, changes: &["ENV PATH=/bin"] },
    Small {
        name: "nonroot",
        has_busybox: true,
        changes: &[r#"CMD ["/bin/sh"]"#, "ENV PATH=/bin", "USER 1000", "WORKDIR /home/app"],
    },
    Small {
        name: "web",
        has_busybox: true,
        changes: &[
            r#"CMD ["/bin/sh", "-c", "echo web: serving on 8080; exec httpd -f -v -p 8080 -h /www"]"#,
            "ENV PATH=/bin",
            "EXPOSE 8080/tcp",
            "EXPOSE 9090/udp",
        ],
    },
    Small {
        name: "notebook",
        has_busybox: true,
        changes: &[r#"CMD ["/bin/sh", "-c", "exec sleep 2147483647"]"#, "ENV PATH=/bin"],
    },
];

/// What stands in for Jupyter; only the image `notebook` may have it.
const JUPYTER: &str = "#!/bin/sh\nset -e\ngrep -q argon2 \"$JUPYTER_CONFIG_PATH/jupyter_server_config.json\"\n\
for word; do case $word in --port=*) port=${word#--port=};; esac; done\n\
exec httpd -f -p \"$port\" -h /www\n";

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:1000:\n";

pub fn ensure(engine: &Engine) -> Result<()> {
    for small in &SMALL {
        let image = format!("localhost/podbay/{}:latest", small.name);
        let recipe = recipe(small);
        if engine.image_label(&image, RECIPE_LABEL) == recipe {
            continue;
        }
        let folder = paths::own_fresh(&format!("images/{}", small.name))?;
        let archive = folder.with_extension("tar");
        let tree = folder.join("root");
        fs::create_dir(&tree)?;
        if small.has_busybox {
            fill(engine, &tree)?;
        }
        if small.name == "notebook" {
            let program = tree.join("bin/jupyter-lab");
            fs::write(&program, JUPYTER)?;
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).context(program.display())?;
        }
        pack(&tree, &archive)?;
        let mut changes: Vec<String> = small.changes.iter().map(|change| (*change).to_owned()).collect();
        changes.push(format!("LABEL {RECIPE_LABEL}={recipe}"));
        engine.import(&archive, &image, &changes)?;
        sh::say(format!("{image} made"));
    }
    Ok(())
}

fn recipe(small: &Small) -> String {
    let mut hasher = DefaultHasher::new();
    (VERSION, small.has_busybox, small.changes, PASSWD, GROUP, JUPYTER).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// A tree around one static program.
fn fill(engine: &Engine, tree: &Path) -> Result<()> {
    for folder in ["bin", "etc", "root", "tmp", "www", "home/app"] {
        fs::create_dir_all(tree.join(folder))?;
    }
    let busybox = tree.join("bin/busybox");
    copy_out(engine, image::BASE, "/usr/bin/busybox", &busybox)?;
    fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755)).context(busybox.display())?;
    for applet in sh::capture(Command::new(&busybox).arg("--list"))?.split_whitespace() {
        if applet != "busybox" {
            symlink("busybox", tree.join("bin").join(applet)).context(applet)?;
        }
    }
    fs::write(tree.join("etc/passwd"), PASSWD)?;
    fs::write(tree.join("etc/group"), GROUP)?;
    fs::write(tree.join("www/index.html"), "hello from a pod\n")?;
    fs::set_permissions(tree.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    Ok(())
}

/// Everything belongs to root, but for the home of `app`.
fn pack(tree: &Path, archive: &Path) -> Result<()> {
    let _ = fs::remove_file(archive);
    let home = tree.join("home/app");
    let mut all = image::tar();
    all.args(["--owner=0", "--group=0", "--exclude=./home/app", "-cf"])
        .arg(archive)
        .arg("-C")
        .arg(tree)
        .arg(".");
    sh::capture(&mut all)?;
    if home.exists() {
        let mut own = image::tar();
        own.args(["--owner=1000", "--group=1000", "-rf"]).arg(archive).arg("-C").arg(tree).arg("./home/app");
        sh::capture(&mut own)?;
    }
    Ok(())
}
