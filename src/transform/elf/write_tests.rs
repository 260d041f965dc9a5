//! The writer on files of every class, byte order and machine, and the museum: the conditions under
//! which patchelf has corrupted files, by the numbers of its issues.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::ElfError;
use super::codec::{Class, Endian};
use super::facts::ElfFacts;
use super::read::Elf;
use super::sample::{Sample, X86_64, essence, faults, machines};
use super::write::{Edit, How, Patched, Rpath, patch};

fn rpath(path: &str) -> Edit {
    Edit {
        rpath: Rpath::Set(path.to_owned()),
        ..Edit::default()
    }
}

fn long() -> String {
    format!("/opt/{}/lib:$ORIGIN/../lib", "long/".repeat(80))
}

/// Applies an edit and checks what holds for all.
fn patched(bytes: &[u8], edit: &Edit) -> (Vec<u8>, Patched) {
    let made = patch(bytes, edit).unwrap();
    let out = made.apply(bytes);
    assert_eq!(faults(&out), [""; 0], "{edit:?}");
    assert_eq!(essence(&out), essence(bytes));
    let again = patch(&out, edit).unwrap();
    assert_eq!(again.how, How::Unchanged, "{again:?}");
    (out, made)
}

fn runpath(bytes: &[u8]) -> Option<String> {
    let facts = ElfFacts::read(bytes).unwrap();
    assert_eq!(facts.rpath, None);
    facts.runpath
}

#[test]
fn samples_are_sound() {
    for sample in machines() {
        let bytes = sample.build();
        assert_eq!(faults(&bytes), [""; 0], "{sample:?}");
        let facts = ElfFacts::read(&bytes).unwrap();
        assert_eq!(facts.needed, ["libm.so.6", "libc.so.6"]);
        assert_eq!(facts.soname.as_deref(), Some("libsample.so.1"));
        assert_eq!(facts.glibc_floor().as_deref(), Some("2.17"));
    }
}

#[test]
fn every_machine_gets_its_runpath() {
    for sample in machines() {
        for path in ["$ORIGIN", &long()] {
            let (out, made) = patched(&sample.build(), &rpath(path));
            assert_eq!(runpath(&out).as_deref(), Some(path));
            assert_eq!(made.how, How::Moved);
        }
    }
}

#[test]
fn what_fits_is_written_in_place() {
    for sample in machines() {
        let bytes = Sample {
            rpath: Some("/a/path/that/is/there"),
            ..sample
        }
        .build();
        let (out, made) = patched(&bytes, &rpath("/shorter"));
        assert_eq!(runpath(&out).as_deref(), Some("/shorter"));
        assert_eq!((made.how, out.len()), (How::InPlace, bytes.len()));
        // Nothing is left of the old one.
        assert!(memchr::memmem::find(&out, b"is/there").is_none());
    }
}

#[test]
fn a_string_that_is_there_is_used_again() {
    let bytes = Sample {
        needed: vec!["/opt/lib", "libc.so.6"],
        ..X86_64
    }
    .build();
    let (out, made) = patched(&bytes, &rpath("/opt/lib"));
    assert_eq!((made.how, out.len()), (How::InPlace, bytes.len()));
    assert_eq!(runpath(&out).as_deref(), Some("/opt/lib"));
    // It is not given up with the RUNPATH: NEEDED still has it.
    let (out, _) = patched(&out, &rpath("/x"));
    assert_eq!(
        ElfFacts::read(&out).unwrap().needed,
        ["/opt/lib", "libc.so.6"]
    );
}

#[test]
fn rpath_and_runpath_become_one_runpath_or_none() {
    let bytes = Sample {
        rpath: Some("/rpath/of/old"),
        runpath: Some("/runpath/of/old"),
        ..X86_64
    }
    .build();
    let (out, _) = patched(&bytes, &rpath("/new"));
    assert_eq!(runpath(&out).as_deref(), Some("/new"));
    assert!(memchr::memmem::find(&out, b"of/old").is_none());
    let remove = Edit {
        rpath: Rpath::Remove,
        ..Edit::default()
    };
    let (out, made) = patched(&bytes, &remove);
    assert_eq!((runpath(&out), made.how), (None, How::InPlace));
    assert!(memchr::memmem::find(&out, b"of/old").is_none());
}

#[test]
fn a_renamed_library_is_renamed_in_version_needs_too() {
    for sample in machines() {
        let bytes = sample.build();
        for name in ["libc.7", "libc-0123456789abcdef.so.6"] {
            let edit = Edit {
                replace_needed: vec![
                    ("libc.so.6".to_owned(), name.to_owned()),
                    ("libabsent.so".to_owned(), "libother.so".to_owned()),
                ],
                ..Edit::default()
            };
            let (out, _) = patched(&bytes, &edit);
            let facts = ElfFacts::read(&out).unwrap();
            assert_eq!(facts.needed, ["libm.so.6", name]);
            assert_eq!(facts.version_needs[0].library, name);
            assert_eq!(facts.version_needs[0].versions, ["GLIBC_2.17"]);
        }
    }
}

#[test]
fn a_file_does_not_grow_with_each_edit() {
    for sample in machines() {
        for spare in [0, 4] {
            let bytes = Sample {
                spare,
                ..sample.clone()
            }
            .build();
            let (mut out, _) = patched(&bytes, &rpath("/first"));
            let once = out.len();
            for round in 0..70 {
                // A shorter one fits in place, a longer one grows the file by what it is longer.
                (out, _) = patched(&out, &rpath(&format!("/{}", "x".repeat(5 + round % 3))));
            }
            assert!(out.len() <= once + 16, "{once} {}", out.len());
            let (longer, _) = patched(&out, &rpath(&long()));
            let (direct, _) = patched(&bytes, &rpath(&long()));
            assert_eq!(longer.len(), direct.len());
            assert_eq!(longer, direct, "the order of edits does not show");
        }
    }
}

/// Found by fuzzing: all were written to, and the file could not be read afterwards.
#[test]
fn tables_in_the_headers_or_elsewhere_and_strings_past_their_end_are_refused() {
    use goblin::elf::dynamic::{DT_STRTAB, DT_VERNEED};
    use goblin::elf::section_header::{SHT_GNU_VERNEED, SectionHeader};
    let has_needs = |bytes: &Vec<u8>| !ElfFacts::read(bytes).unwrap().version_needs.is_empty();
    let mut samples = machines()
        .into_iter()
        .filter(|sample| sample.machine == X86_64.machine);
    let bytes = samples
        .find_map(|sample| Some(sample.build()).filter(has_needs))
        .unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    let dynamic = elf.dynamic.as_ref().unwrap();
    let entry = |tag| dynamic.entries.iter().position(|(own, _)| *own == tag);
    let in_headers = dynamic.offset as usize + 16 * entry(DT_STRTAB).unwrap() + 8;
    // The first file that a version is needed of: its name is the second word of the table.
    let (_, needs) = dynamic.entries[entry(DT_VERNEED).unwrap()];
    let name = elf.offset_of(needs, 16).unwrap() as usize + 4;
    // The section header of that table, which may say another place than its address has.
    let is_needs = |s: &SectionHeader| s.sh_type == SHT_GNU_VERNEED;
    let index = elf.sections.iter().position(is_needs).unwrap();
    let elsewhere = elf.header.e_shoff as usize + 64 * index + 24;
    let claimed = elf.sections[index].sh_offset as u32 + 32;
    for (at, value) in [(in_headers, 0x18), (name, u32::MAX), (elsewhere, claimed)] {
        let mut lying = bytes.clone();
        lying[at..at + 4].copy_from_slice(&value.to_le_bytes());
        let refused = patch(&lying, &rpath("/lib"));
        assert!(matches!(refused, Err(ElfError::Lie { .. })), "{refused:?}");
    }
}

#[test]
fn edits_of_what_is_not_there_are_refused() {
    let interpreter = Edit {
        interpreter: Some("/lib/ld.so".to_owned()),
        ..Edit::default()
    };
    assert!(matches!(
        patch(&X86_64.build(), &interpreter),
        Err(ElfError::Lacks { .. })
    ));
    let nul = rpath("/a\0b");
    assert!(matches!(
        patch(&X86_64.build(), &nul),
        Err(ElfError::Nul { .. })
    ));
}

#[test]
fn an_appended_payload_is_not_displaced() {
    let mut bytes = X86_64.build();
    bytes.extend(b"PK payload that is found from the end");
    let error = patch(&bytes, &rpath(&long())).unwrap_err();
    assert!(
        matches!(error, ElfError::Payload { size: 37, .. }),
        "{error}"
    );
    let with_path = Sample {
        runpath: Some("/long/enough"),
        ..X86_64
    };
    let mut bytes = with_path.build();
    bytes.extend(b"PK payload");
    assert_eq!(patch(&bytes, &rpath("/short")).unwrap().how, How::InPlace);
}

#[test]
fn unknown_machines_are_edited_in_place_only() {
    let mips = Sample {
        machine: goblin::elf::header::EM_MIPS,
        runpath: Some("/long/enough"),
        ..X86_64
    };
    assert_eq!(
        patch(&mips.build(), &rpath("/short")).unwrap().how,
        How::InPlace
    );
    assert!(matches!(
        patch(&mips.build(), &rpath(&long())),
        Err(ElfError::Machine(_))
    ));
}

/// A program, position-dependent or not, with every part that may have to grow.
fn programs() -> Vec<Sample> {
    let mut programs = Vec::new();
    for sample in machines() {
        for base in [0, 0x40_0000] {
            programs.push(Sample {
                interpreter: Some("/lib/ld.so.1"),
                base,
                ..sample.clone()
            });
        }
    }
    programs
}

#[test]
fn issue_152_the_dynamic_section_stays_writable() {
    for sample in machines().into_iter().chain(programs()) {
        let (out, _) = patched(&Sample { spare: 0, ..sample }.build(), &rpath(&long()));
        assert_eq!(runpath(&out), Some(long()));
    }
}

#[test]
fn issue_313_symbols_may_name_sections_that_do_not_exist() {
    let sample = Sample {
        stray_symbol: true,
        spare: 0,
        ..X86_64
    };
    patched(&sample.build(), &rpath(&long()));
}

#[test]
fn issue_446_segments_do_not_share_pages_once_rounded() {
    // The data segment begins in the middle of a page and ends in the middle of another.
    for sample in programs() {
        for bss in [0, 1, 0xfff, 0x1000, 0x1_0000] {
            patched(
                &Sample {
                    bss,
                    ..sample.clone()
                }
                .build(),
                &rpath(&long()),
            );
        }
    }
}

#[test]
fn issue_474_the_new_segment_is_aligned_for_the_largest_page() {
    for sample in machines() {
        let (out, _) = patched(&sample.build(), &rpath(&long()));
        let elf = Elf::parse(&out).unwrap();
        assert_eq!(elf.loads().count(), 3);
        assert!(elf.loads().all(|load| load.p_align >= sample.align));
    }
}

#[test]
fn issue_528_alignment_beyond_a_page_is_kept() {
    let sample = Sample {
        align: 0x20_0000,
        ..X86_64
    };
    let (out, _) = patched(&sample.build(), &rpath("$ORIGIN"));
    let elf = Elf::parse(&out).unwrap();
    let alignments: Vec<u64> = elf.loads().map(|load| load.p_align).collect();
    assert_eq!(alignments, [0x20_0000, 0x20_0000, 0x1000]);
}

#[test]
fn issue_583_everything_may_grow_at_once() {
    for sample in programs() {
        for (sections, blocked, notes) in [
            (true, false, true),
            (true, true, true),
            (false, false, true),
            (true, false, false),
        ] {
            let sample = Sample {
                spare: 0,
                sections,
                blocked,
                notes,
                ..sample.clone()
            };
            let edit = Edit {
                rpath: Rpath::Set(long()),
                interpreter: Some(format!("/opt/{}/ld.so", "deep/".repeat(50))),
                replace_needed: vec![("libc.so.6".to_owned(), format!("lib{}.so", "c".repeat(99)))],
            };
            let (out, made) = patched(&sample.build(), &edit);
            assert_eq!(made.how, How::Moved);
            let facts = ElfFacts::read(&out).unwrap();
            assert_eq!(facts.interpreter, edit.interpreter);
            assert_eq!(facts.runpath, Some(long()));
        }
    }
}

#[test]
fn the_program_headers_stay_where_strip_wants_them() {
    for sample in machines().into_iter().chain(programs()) {
        for (notes, spare) in [(true, 4), (false, 4), (true, 0)] {
            let bytes = Sample {
                notes,
                spare,
                ..sample.clone()
            }
            .build();
            let (out, _) = patched(&bytes, &rpath(&long()));
            let header = |bytes: &[u8]| Elf::parse(bytes).unwrap().header.e_phoff;
            assert_eq!(header(&out), header(&bytes), "{sample:?}");
        }
    }
}

#[test]
fn program_headers_that_had_to_move_are_found_by_old_kernels() {
    // Before 5.18 they were taken to be as far from the first segment in memory as in the file.
    for sample in programs() {
        let bytes = Sample {
            blocked: true,
            ..sample
        }
        .build();
        let (out, _) = patched(&bytes, &rpath(&long()));
        let elf = Elf::parse(&out).unwrap();
        let first = elf.loads().next().unwrap();
        let table = elf.segment(goblin::elf::program_header::PT_PHDR).unwrap();
        assert_ne!(elf.header.e_phoff, elf.codec.header_size());
        assert_eq!(
            table.p_vaddr,
            first.p_vaddr - first.p_offset + elf.header.e_phoff
        );
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let path = || {
        prop_oneof![
            Just(None),
            Just(Some("$ORIGIN")),
            Just(Some("/usr/lib/a/rather/long/path:$ORIGIN/../lib")),
        ]
    };
    let shape = (any::<[bool; 6]>(), 0_usize..4, 0_u64..0x3_0000);
    (0..machines().len(), path(), path(), shape).prop_map(|(machine, rpath, runpath, shape)| {
        let ([program, fixed, notes, sections, blocked, stray], spare, bss) = shape;
        Sample {
            interpreter: program.then_some("/lib/ld.so.1"),
            base: if program && fixed { 0x40_0000 } else { 0 },
            rpath,
            runpath,
            spare,
            notes,
            sections,
            blocked,
            bss,
            stray_symbol: stray,
            ..machines().swap_remove(machine)
        }
    })
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let path = prop_oneof![
        "[a-z/$]{0,12}",
        "(/[a-z]{1,9}){1,60}",
        Just("$ORIGIN/../lib".to_owned()),
    ];
    let rpath = prop_oneof![
        Just(Rpath::Keep),
        Just(Rpath::Remove),
        path.prop_map(Rpath::Set),
    ];
    let rename = prop_oneof![
        Just(None),
        "lib[a-z]{1,40}[.]so".prop_map(|to| Some(("libc.so.6".to_owned(), to))),
    ];
    (rpath, proptest::option::of("/[a-z/]{0,80}"), rename).prop_map(
        |(rpath, interpreter, rename)| Edit {
            rpath,
            interpreter,
            replace_needed: rename.into_iter().collect(),
        },
    )
}

proptest! {
    #[test]
    fn edits_take_effect_once_and_harm_nothing(
        sample in any_sample(),
        edits in proptest::collection::vec(any_edit(), 1..5),
    ) {
        let mut bytes = sample.build();
        for mut edit in edits {
            let before = ElfFacts::read(&bytes).unwrap();
            if before.interpreter.is_none() {
                edit.interpreter = None;
            }
            let (out, _) = patched(&bytes, &edit);
            let after = ElfFacts::read(&out).unwrap();
            match &edit.rpath {
                Rpath::Keep => prop_assert_eq!((&before.rpath, &before.runpath), (&after.rpath, &after.runpath)),
                Rpath::Set(path) => prop_assert_eq!((&None, &Some(path.clone())), (&after.rpath, &after.runpath)),
                Rpath::Remove => prop_assert_eq!((&None, &None), (&after.rpath, &after.runpath)),
            }
            prop_assert_eq!(&after.interpreter, edit.interpreter.as_ref().map_or(&before.interpreter, |_| &edit.interpreter));
            let renamed: Vec<String> = before.needed.iter().map(|name| {
                let rename = edit.replace_needed.iter().find(|(from, _)| from == name);
                rename.map_or(name, |(_, to)| to).clone()
            }).collect();
            prop_assert_eq!(renamed, after.needed);
            bytes = out;
        }
    }

    #[test]
    fn a_truncated_file_is_refused_and_never_a_panic(
        sample in any_sample(),
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = sample.build();
        let cut = &bytes[..cut.index(bytes.len())];
        // What is cut off may not have been needed: then the rest is sound.
        if let Ok(made) = patch(cut, &rpath(&long())) {
            prop_assert_eq!(faults(&made.apply(cut)), [""; 0]);
        }
    }

    #[test]
    fn a_flipped_byte_is_never_a_panic(
        sample in any_sample(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        edit in any_edit(),
    ) {
        let mut bytes = sample.build();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = ElfFacts::read(&bytes);
        if let Ok(made) = patch(&bytes, &edit) {
            let out = made.apply(&bytes);
            let _ = ElfFacts::read(&out);
        }
    }

    #[test]
    fn a_flipped_header_is_never_a_panic(
        sample in any_sample(),
        at in 0_usize..600,
        value in prop_oneof![any::<u64>(), Just(u64::MAX), Just(0), Just(u64::from(u32::MAX)), 0_u64..0x400],
        edit in any_edit(),
    ) {
        let mut bytes = sample.build();
        let at = at.min(bytes.len() - 8);
        let value = if sample.endian == Endian::Little { value.to_le_bytes() } else { value.to_be_bytes() };
        let width = if sample.class == Class::Bits64 { 8 } else { 4 };
        bytes[at..at + width].copy_from_slice(&value[..width]);
        let _ = ElfFacts::read(&bytes);
        let _ = patch(&bytes, &edit).map(|made| made.apply(&bytes));
    }
}
