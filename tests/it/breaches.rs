//! The deliberate breaches of `make sim`.

use std::{fs, path::Path, process::Command};

/// The names of the breaches that the code of remediation plays, one for each place.
fn played_in_code(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();

    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(played_in_code(&path));
            continue;
        }

        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("Breach::").skip(1) {
            if let Some((name, _)) = rest.split_once(".is_played()")
                && name.chars().all(char::is_alphanumeric)
            {
                names.push(name.to_owned());
            }
        }
    }

    names
}

#[test]
fn make_sim_plays_each_breach_of_the_code_and_each_has_one_place() {
    let mut in_code = played_in_code(Path::new("src/remediation"));
    in_code.sort();

    let listed = Command::new("lab/sim.sh").arg("list").output().unwrap();

    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout).unwrap();
    let mut in_sim: Vec<&str> = listed.lines().collect();
    in_sim.sort_unstable();

    assert_eq!(in_code, in_sim);
    assert!(!in_sim.is_empty());
}
