//! Chat templates in the style of model files, written for this test.

use ridgeline_text::{ChatTemplate, DateTime, Error, Message};

const CHATML: &str = "{%- for message in messages -%}
    {{- '<|im_start|>' + message.role + '\\n' + message['content'] + '<|im_end|>' + '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
";

const LLAMA3: &str = "{{ bos_token }}
{%- set ns = namespace(system='') %}
{%- if messages[0]['role'] == 'system' %}
    {%- set ns.system = messages[0]['content'].strip() %}
    {%- set messages = messages[1:] %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now('%d %b %Y') %}
    {%- else %}
        {%- set date_string = '26 Jul 2024' %}
    {%- endif %}
{%- endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\nToday: ' ~ date_string ~ '\\n' ~ ns.system ~ '<|eot_id|>' }}
{%- if tools is not none %}TOOLS{% endif %}
{%- for message in messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate, not ' ~ message.role) }}
    {%- endif %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}";

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, "model.gguf", "<bos>", "<eos>")
}

fn render(source: &str, messages: &[Message]) -> String {
    template(source).render(messages, false).unwrap()
}

fn chat() -> Vec<Message> {
    vec![Message::new("system", " Be brief. "), Message::new("user", "1 < 2 & \"so\"?\n")]
}

#[test]
fn chatml() {
    let expected =
        "<|im_start|>system\n Be brief. <|im_end|>\n<|im_start|>user\n1 < 2 & \"so\"?\n<|im_end|>\n";
    assert_eq!(template(CHATML).render(&chat(), false).unwrap(), expected);
    let prompted = format!("{expected}<|im_start|>assistant\n");
    assert_eq!(template(CHATML).render(&chat(), true).unwrap(), prompted);
    assert_eq!(template(CHATML).render(&[], false).unwrap(), "");
}

#[test]
fn llama3() {
    let expected = |date: &str| {
        format!(
            "<bos><|start_header_id|>system<|end_header_id|>\n\nToday: {date}\nBe brief.<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\n1 < 2 & \"so\"?<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\n"
        )
    };
    assert_eq!(template(LLAMA3).render(&chat(), true).unwrap(), expected("26 Jul 2024"));
    let dated = template(LLAMA3).at(DateTime::from_unix(1_900_000_000));
    assert_eq!(dated.render(&chat(), true).unwrap(), expected("17 Mar 2030"));
}

#[test]
fn a_template_may_refuse_messages() {
    let wrong = [Message::new("user", "a"), Message::new("user", "b")];
    let error = template(LLAMA3).render(&wrong, false).unwrap_err();
    assert!(matches!(&error, Error::TemplateRender { .. }));
    let text = error.to_string();
    assert!(text.contains("model.gguf") && text.contains("roles must alternate, not user"), "{text}");
}

#[test]
fn a_template_that_does_not_parse_fails_when_used() {
    let broken = template("{% for x in %}");
    assert_eq!(broken.source(), "{% for x in %}");
    let error = broken.render(&[], false).unwrap_err();
    assert!(matches!(&error, Error::TemplateSyntax { .. }));
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn runtime_failures_are_errors() {
    for source in ["{{ nope.deeper }}", "{{ messages[0].nope() }}", "{{ 1 // 0 }}", "{{ raise_exception() }}"]
    {
        let result = template(source).render(&chat(), false);
        assert!(matches!(result, Err(Error::TemplateRender { .. })), "{source}");
    }
    let dated = template("{{ strftime_now('%Q') }}").at(DateTime::from_unix(0));
    assert!(matches!(dated.render(&[], false), Err(Error::TemplateRender { .. })));
}

#[test]
fn blocks_eat_their_line_as_in_transformers() {
    assert_eq!(render("a\n    {% if true %}\nb\n    {% endif %}\nc\n", &[]), "a\nb\nc");
}

#[test]
fn json_is_written_as_python_writes_it() {
    assert_eq!(
        render("{{ {'b': 1, 'a': [1, 2.5, 'ü<&>\"'], 'n': none, 't': true} | tojson }}", &[]),
        r#"{"b": 1, "a": [1, 2.5, "ü<&>\""], "n": null, "t": true}"#
    );
    assert_eq!(
        render("{{ {'a': [1], 'e': []} | tojson(indent=2) }}", &[]),
        "{\n  \"a\": [\n    1\n  ],\n  \"e\": []\n}"
    );
    assert_eq!(
        render("{{ messages[0] | tojson }}", &chat()),
        r#"{"role": "system", "content": " Be brief. "}"#
    );
}

#[test]
fn python_methods_loop_controls_macros_and_generation_blocks() {
    let source = "{% macro shout(x) %}{{ x.upper() }}!{% endmacro %}
{%- for m in messages %}{% if m.role.startswith('sys') %}{% continue %}{% endif %}
{%- generation %}{{ shout(m.content.split('<')[0].rstrip()) }}{% endgeneration -%}
{% endfor %}";
    assert_eq!(render(source, &chat()), "1!");
    assert_eq!(render("{{ messages[-1].get('name', 'none') }}{{ messages | length }}", &chat()), "none2");
}

#[test]
fn a_template_that_reads_parts_gets_them() {
    let source = "{% for m in messages %}{{ m['role'] | capitalize }}{% if m['content'][0]['type'] == 'image' %}{{ ':' }}\
                  {% else %}{{ ': ' }}{% endif %}{% for part in m['content'] %}{% if part['type'] == 'text' %}\
                  {{ part['text'] }}{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %};\n{% endfor %}";
    let template = template(source);
    assert!(template.reads_parts());
    let messages = [
        Message::new("user", "hi").with_images(2),
        Message::new("assistant", "yes"),
        Message::new("user", "so"),
    ];
    let rendered = template.render(&messages, false).expect("it renders");
    assert_eq!(rendered, "User:<image><image>hi;\nAssistant: yes;\nUser: so;\n");
    for text in [
        "{{ messages[0].content }}",
        "{{ messages[0].content | upper }}",
        "{{ messages[0].content | length }}",
    ] {
        assert!(!self::template(text).reads_parts(), "{text}");
    }
}
