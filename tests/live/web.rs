//! The web configuration, compared with promtool, which uses the reference parser.

use std::process::Command;

use crate::web_files::{Expected, WebConfigFiles, cases};

#[test]
#[ignore = "needs the live stack: run `make test`"]
fn promtool_agrees_on_each_web_configuration() {
    let promtool = std::env::var_os("PROMTOOL").expect("PROMTOOL names promtool");
    let files = WebConfigFiles::new();
    let mut wrong = Vec::new();

    for (said, text) in cases() {
        let file = files.write("web.yml", &text);
        let ran = Command::new(&promtool).args(["check", "web-config"]).arg(&file).output();
        let ran = ran.expect("promtool runs");

        if ran.status.success() != (said != Expected::Bad) {
            let words = String::from_utf8_lossy(&ran.stderr).into_owned();
            wrong.push(format!("{said:?}: {text}: {words}"));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
