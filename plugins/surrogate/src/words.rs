//! The reasons, in words, for the journal and its readers.

use crate::outlook::{Goal, Outlook, Pick};

/// Longest text, in bytes; the host takes 2,048.
const MOST: usize = 600;

/// Why this configuration.
pub(crate) fn reason(goal: &Goal<'_, '_>, outlook: &Outlook, pick: &Pick) -> String {
    let likely = format!(
        "likely enough for the floor by {:.0} %",
        100.0 * pick.enough
    );
    let build = settings(goal, &pick.settings);
    let what = match outlook.is_built {
        true => "search a build that is there",
        false => "new build",
    };
    let text = match goal.model.best() {
        None => format!("{what}: {build}: nothing meets the objective yet; {likely}"),
        Some(_) => {
            let work = goal.evidence.work.saved();
            let (saved, gain) = (100.0 * pick.saved, 100.0 * outlook.gain);
            let seconds = outlook.seconds;
            format!(
                "{what}: {build}: {saved:.1} % {work} than the best so far, {likely}; the build has {gain:.1} % to gain for about {seconds:.1} s"
            )
        }
    };
    bounded(text)
}

/// Why nothing is left.
pub(crate) fn exhausted(goal: &Goal<'_, '_>, gain: f64, enough: f64) -> String {
    let tried = goal.evidence.tried();
    let text = match goal.model.best() {
        None => format!(
            "after {tried} trials nothing meets the objective, and no configuration within bounds is likely to"
        ),
        Some(_) => format!(
            "after {tried} trials no other one is expected to gain more than {:.2} %, which is below {:.2} %",
            100.0 * gain,
            100.0 * enough
        ),
    };
    bounded(text)
}

/// For example `m=16, ef_construction=80, ef_search=40`.
fn settings(goal: &Goal<'_, '_>, settings: &[u32]) -> String {
    let knobs = goal.space.knobs().iter().zip(settings);
    let told: Vec<String> = knobs
        .map(|(knob, value)| format!("{}={value}", knob.name))
        .collect();
    told.join(", ")
}

fn bounded(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST));
    text
}
