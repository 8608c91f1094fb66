//! `run --chat`, and special tokens, escapes and stdin as the prompt.

use crate::Test;
use crate::folders::copy;
use crate::program::{Done, ids, on_cpu, with_stdin};
use serde_json::Value;
use std::fs;
use std::path::Path;

pub(crate) const TESTS: &[Test] = &[
    ("a_special_token_in_a_prompt_is_that_token", a_special_token_in_a_prompt_is_that_token),
    ("prompts_come_from_stdin_and_files_with_escapes", prompts_come_from_stdin_and_files_with_escapes),
    ("without_a_limit_the_context_ends_the_text", without_a_limit_the_context_ends_the_text),
    ("each_turn_is_the_answer_to_the_whole_conversation", each_turn_is_the_answer_to_the_whole_conversation),
    ("what_is_no_chat_is_refused", what_is_no_chat_is_refused),
    ("flags_of_llama_cpp_say_what_they_mean", flags_of_llama_cpp_say_what_they_mean),
];

/// The id of `<|endoftext|>` in the small models, and of `<|image|>` in those of the model crate.
const END: u64 = 0;
const IMAGE: u64 = 1;

fn prompt_tokens(flags: &[&str]) -> Vec<u64> {
    let run = ["run", "-m", "tiny-draft", "-n", "0", "--json"];
    ids(&on_cpu(&[&run, flags].concat()).json()["prompt_tokens"])
}

fn tokenized(flags: &[&str]) -> Vec<u64> {
    ids(&on_cpu(&[&["tokenize", "-m", "tiny-draft", "--json"], flags].concat()).json()["ids"])
}

fn a_special_token_in_a_prompt_is_that_token() {
    let text = "one<|endoftext|>two";
    let parsed = prompt_tokens(&["-p", text]);
    let halves = [prompt_tokens(&["-p", "one"]), vec![END], prompt_tokens(&["-p", "two"])].concat();
    assert_eq!(parsed, halves);
    let plain = prompt_tokens(&["-p", text, "--no-parse-special"]);
    assert!(!plain.contains(&END) && plain.len() > parsed.len(), "{plain:?}");
    assert_eq!(tokenized(&["-p", text]), plain, "tokenize reads plain text");
    assert_eq!(tokenized(&["-p", text, "--parse-special"]), parsed);
}

fn prompts_come_from_stdin_and_files_with_escapes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("prompt");
    let write = |text: &str| fs::write(&file, text).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let expected = prompt_tokens(&["-p", "It was\n\tso"]);
    write("It was\n\tso\n");
    assert_eq!(prompt_tokens(&["-f", file]), expected, "the line break at the end does not count");
    assert_eq!(prompt_tokens(&["-p", r"It was\n\tso", "-e"]), expected);
    assert_ne!(prompt_tokens(&["-p", r"It was\n\tso"]), expected);
    write(r"It\x20was\n\tso");
    assert_eq!(prompt_tokens(&["-f", file, "-e"]), expected);
    let run = ["run", "-m", "tiny-draft", "-n", "0", "--json", "--device", "cpu", "-p", "-"];
    assert_eq!(ids(&with_stdin(&run, b"It was\n\tso\n").json()["prompt_tokens"]), expected);
    with_stdin(&run, b"\xff").fails(1, &["stdin", "byte 0 is not UTF-8"]);
    on_cpu(&["run", "-m", "tiny-draft", "-p", r"\xff", "-e"]).fails(1, &["not UTF-8"]);
}

fn without_a_limit_the_context_ends_the_text() {
    let run = ["run", "-m", "tiny-draft", "-p", "It was", "--temp", "0", "--json", "--ignore-eos", "-c", "9"];
    let got = on_cpu(&[&run[..], &["-n", "-1"]].concat()).json();
    assert_eq!(got["finish"], "context");
    assert_eq!(ids(&got["prompt_tokens"]).len() + ids(&got["tokens"]).len(), 10, "the last is not evaluated");
    on_cpu(&[&run[..], &["-n", "-3"]].concat()).fails(2, &["-3"]);
}

const TEMPLATE: &str = "{% for m in messages %}<|image|>{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}\
                        {% if add_generation_prompt %}<|image|>assistant:{% endif %}";

/// A small model with a chat template.
fn chatty(folder: &Path) -> &str {
    copy("qwen2", folder, |_| (), |_| ());
    fs::write(folder.join("chat_template.jinja"), TEMPLATE).expect("a file");
    folder.to_str().expect("UTF-8")
}

fn chat(model: &str, more: &[&str], lines: &str) -> Done {
    let run = ["run", "-m", model, "--device", "cpu", "--temp", "0", "-n", "3"];
    with_stdin(&[&run, more].concat(), lines.as_bytes())
}

fn each_turn_is_the_answer_to_the_whole_conversation() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = chatty(folder.path());
    let got =
        chat(model, &["-cnv", "-sys", "Be brief.", "-p", "hello", "--json"], "\nsay \\\nmore\n\nend").json();
    let turns = got["turns"].as_array().expect("turns");
    let roles: Vec<_> = got["messages"].as_array().expect("messages").iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user", "assistant"]);
    assert_eq!(got["messages"][3]["content"], "say \nmore");
    let mut conversation = "<|image|>system: Be brief.<|endoftext|>".to_owned();
    for (turn, message) in turns.iter().zip(["hello", "say \nmore", "end"]) {
        conversation += &format!("<|image|>user: {message}<|endoftext|>");
        let text = format!("{conversation}<|image|>assistant:");
        // The same conversation from an empty cache.
        let alone = on_cpu(&["run", "-m", model, "--temp", "0", "-n", "3", "--json", "-p", &text]).json();
        assert_eq!(turn["prompt_tokens"], alone["prompt_tokens"]);
        assert_eq!((&turn["tokens"], &turn["text"]), (&alone["tokens"], &alone["text"]));
        let answer = turn["text"].as_str().expect("text");
        conversation += &format!("<|image|>assistant: {answer}<|endoftext|>");
        assert!(ids(&turn["prompt_tokens"]).contains(&IMAGE));
    }
    let cached: Vec<u64> = turns.iter().map(|it| it["cached"].as_u64().expect("a number")).collect();
    let first = ids(&turns[0]["prompt_tokens"]).len() as u64;
    assert!(cached[0] == 0 && cached[1] >= first && cached[2] > cached[1], "{cached:?}");
    // On stdout is the text alone, a line for each answer.
    let done = chat(model, &["--chat", "-p", "hello", "--single-turn"], "not read\n");
    assert!(done.stderr.contains("tokens cached"), "{}", done.stderr);
    let one = chat(model, &["--chat", "-p", "hello", "--single-turn", "--json"], "").json();
    assert_eq!(done.ok(), format!("{}\n", one["turns"][0]["text"].as_str().expect("text")));
    chat(model, &["--chat", "-c", "8"], "hello hello hello\n").fails(1, &["the context 8", "-c"]);
}

fn what_is_no_chat_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = chatty(folder.path());
    chat(model, &["--chat"], "\n \n").fails(2, &["nothing to answer"]);
    chat("tiny-draft", &["--chat"], "hello\n").fails(2, &["tiny-draft has no chat template"]);
    chat(model, &["--system", "Be brief."], "").fails(2, &["--chat"]);
    fs::write(folder.path().join("chat_template.jinja"), "{{ raise_exception('no ' ~ messages[0].role) }}")
        .expect("a file");
    chat(model, &["--chat", "-sys", "x"], "hello\n").fails(1, &["no system"]);
}

fn flags_of_llama_cpp_say_what_they_mean() {
    let run = ["run", "-m", "tiny-draft", "-p", "It", "-n", "1", "--temp", "0", "--json"];
    let plain = on_cpu(&run).json();
    let done = on_cpu(&[&run[..], &["-ngl", "99", "-t", "8", "--numa", "isolate", "-no-cnv"]].concat());
    for flag in ["-ngl 99: ", "-t 8: ", "--numa isolate: "] {
        assert_eq!(done.stderr.matches(flag).count(), 1, "{flag}: {}", done.stderr);
    }
    let tokens = |it: &Value| ids(&it["tokens"]);
    assert_eq!(tokens(&done.json()), tokens(&plain));
    on_cpu(&[&run[..], &["-ngl", "0"]].concat()).fails(2, &["-ngl 0", "--device cpu"]);
    on_cpu(&[&run[..], &["-t", "many"]].concat()).fails(2, &["-t \"many\""]);
}
