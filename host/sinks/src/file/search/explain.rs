//! How a query is answered, for people.

use weir_query::Query;

use super::job::{Job, Stop, Wanted};

pub fn explain(job: &mut Job, query: &Query) -> Result<String, Stop> {
    let wanted = Wanted::new(query);
    if wanted.is_impossible() {
        return Ok("nothing is read: no line can match\n".to_owned());
    }
    let (mut files, mut blocks, mut bytes, mut skipped, mut summarised) = (0, 0, 0, 0, 0);
    for file in 0..job.files.len() {
        if job.files[file].range.is_some_and(|range| !wanted.overlaps_range(range)) {
            continue;
        }
        files += 1;
        let known = job.blocks(file)?;
        for (at, block) in known.all.iter().enumerate().filter(|(_, block)| wanted.overlaps(block)) {
            summarised += usize::from(known.group(at).is_some());
            if !job.may_have_words(file, &known, at, &wanted) {
                skipped += 1;
                continue;
            }
            blocks += 1;
            bytes += block.end - block.start;
        }
    }
    let all = job.files.len();
    let mut text = format!(
        "reads up to {blocks} blocks ({bytes} bytes of lines) in {files} of {all} files, the newest first, until enough \
         are found\n"
    );
    if wanted.words.is_some() {
        let all = blocks + skipped;
        text.push_str(&format!(
            "their filters of words exclude {skipped} of {all} blocks; {summarised} have a filter\n"
        ));
    }
    text.push_str(&match query.json_literals() {
        None => "every line in them is parsed\n".to_owned(),
        Some(literals) => {
            let shown =
                literals.iter().map(|one| format!("`{}`{}", one.text, if one.any_case { " in any case" } else { "" }));
            format!("only lines with {} are parsed\n", shown.collect::<Vec<_>>().join(" or "))
        }
    });
    Ok(text)
}
