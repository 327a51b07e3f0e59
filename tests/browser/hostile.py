"""Over two hundred different strings that got scripts into pages, combined from known payloads and contexts.

Each calls the undefined function `pwned`: a page in which one of them runs complains.
"""

CALL = "pwned(1)"

_TAGS = [
    "<script>{}</script>",
    "<SCRIPT SRC=data:text/javascript,{}></SCRIPT>",
    "<scr<script>ipt>{}</scr</script>ipt>",
    "<img src=x onerror={}>",
    "<img src=x onerror='{}'>",
    "<img/src=`x`onerror={}>",
    "<svg onload={}>",
    "<svg><script>{}</script></svg>",
    "<svg/onload={}//",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "<body onload={}>",
    "<iframe srcdoc='<script>{}</script>'></iframe>",
    "<iframe src=javascript:{}></iframe>",
    "<object data=javascript:{}>",
    "<embed src=javascript:{}>",
    "<details open ontoggle={}>x</details>",
    "<input autofocus onfocus={}>",
    "<select autofocus onfocus={}>",
    "<video><source onerror={}></video>",
    "<marquee onstart={}>x</marquee>",
    "<a href=javascript:{}>x</a>",
    "<a href='java&#115;cript:{}'>x</a>",
    "<form action=javascript:{}><button>x</button></form>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={}&gt;'>",
    "<template><script>{}</script></template>",
    "<style>@import 'javascript:{}'</style>",
    "<link rel=stylesheet href=javascript:{}>",
    "<meta http-equiv=refresh content='0;url=javascript:{}'>",
    "<base href='javascript:{}//'>",
    "<div style='background:url(javascript:{})'>x</div>",
    "<x contenteditable onblur={}>x</x>",
    "<button popovertarget=x onclick={}>x</button><p popover id=x onbeforetoggle={}>",
]
_EVENTS = [
    "click", "dblclick", "mouseover", "mouseenter", "mousemove", "wheel", "focus", "focusin", "blur", "keydown",
    "input", "change", "animationstart", "transitionend", "pointerover", "pointerrawupdate", "scroll", "scrollend",
    "paste", "copy", "drag", "dragstart", "contextmenu", "securitypolicyviolation", "pageshow", "hashchange",
    "message",
]  # fmt: skip
# ways out of the contexts in which a string may occur in a page
_BREAKS = ["{}", '">{}', "'>{}", "</script>{}", "</title></textarea></style>{}", "-->{}", "]]>{}", '\\">{}']
_EXPRESSIONS = [
    "{{{{{}}}}}",
    "{{% {} %}}",
    "${{{}}}",
    "`;{};`",
    "';{};//",
    '";{};//',
    "\\';{};//",
    "</script><!--{}",
    "javascript:{}",
    "JaVaScRiPt:{}",
    "data:text/html,<script>{}</script>",
    "vbscript:{}",
    "__proto__[{}]",
    "constructor.constructor('{}')()",
    "?lit$1$={}",
    "<!--?lit$1$-->{}",
    "=cmd|'/c {}'!A1",
    "+{}",
    "@{}",
    "' OR 1=1; {} --",
    '"; DROP TABLE users; {} --',
    "%3Cscript%3E{}%3C/script%3E",
    "&lt;script&gt;{}&lt;/script&gt;",
    "&#60;script&#62;{}&#60;/script&#62;",
    "\\u003cscript\\u003e{}\\u003c/script\\u003e",
    "＜script＞{}＜/script＞",
    "<script\u2028>{}</script>",
    "\u202e>tpircs/<{}>tpircs<",
    "<scr\u200bipt>{}</script>",
    "../../{}",
    "//evil.example/{}",
    "/\\evil.example/{}",
    "__proto__",
    "constructor",
    "hasOwnProperty",
    "toString",
    "null",
    "undefined",
    "NaN",
    "true",
    "[object Object]",
    "%s%n%x",
    "a\u0300\u0301\u0302\u0303\u0304" * 5,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 {}",
    "\ufeff{}",
    "\u0085{}",
    "{}" + "x" * 400,
]


def strings() -> list[str]:
    """Return all strings; none has a control character, so that each can be a key."""
    found = [shape.replace("{}", CALL) for shape in _TAGS]
    for number, shape in enumerate(_TAGS):
        # each tag after most of the breaks, with a different set for every tag
        for offset in range(4):
            outer = _BREAKS[1 + (number + offset) % (len(_BREAKS) - 1)]
            found.append(outer.replace("{}", shape.replace("{}", CALL)))
    found += [
        shape.replace("{{", "{").replace("}}", "}").replace("{}", CALL) if "{" in shape else shape
        for shape in _EXPRESSIONS
    ]
    found += [f"<b tabindex=0 autofocus on{event}={CALL}>x" for event in _EVENTS]
    return list(dict.fromkeys(found))
