//! The moving picture of the measurements is the same in Rust and in C.

mod common;

use std::process::Command;

use common::Workshop;
use picture::MovingPicture;

#[path = "../benches/picture.rs"]
mod picture;

const PROGRAM: &str = r#"
#include "picture.h"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
  if (argc != 4) return 2;
  size_t width = strtoul(argv[1], 0, 10), height = strtoul(argv[2], 0, 10);
  size_t size = width * height + 2 * ((width + 1) / 2) * ((height + 1) / 2);
  uint8_t *pixels = malloc(size);
  picture_draw(pixels, width, height, strtoul(argv[3], 0, 10));
  return fwrite(pixels, 1, size, stdout) == size ? 0 : 1;
}
"#;

#[test]
fn both_languages_draw_the_same() {
    let workshop = Workshop::new("picture");
    let (source, program) = (workshop.write("draw.c", PROGRAM), workshop.path.join("draw"));
    let compiled = Command::new("cc")
        .args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(common::project().join("benches"))
        .arg(&source)
        .arg("-o")
        .arg(&program)
        .output()
        .expect("a C compiler is needed");
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    for (width, height, number) in [(1280, 720, 0), (1280, 720, 1000), (321, 243, 77), (1, 1, 5)] {
        let words = [width, height, number].map(|number: u32| number.to_string());
        let drawn = Command::new(&program).args(words).output().expect("the program runs");
        let expected = MovingPicture::new(width, height).frame(number);
        assert!(drawn.stdout == expected, "{width}x{height}, frame {number}");
    }
}
