"""What is said of each line, in English and Chinese. Sentences name what can't be carried, why, and what to do."""

from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "zh"]
KINDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "account": "account",
        "route": "route",
        "project": "project",
        "key": "key",
        "price": "price",
        "rest": "other",
    },
    "zh": {
        "account": "账号",
        "route": "路由",
        "project": "项目",
        "key": "令牌",
        "price": "价格",
        "rest": "其他",
    },
}
OUTCOMES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "would_add": "would be added",
        "added": "added",
        "there": "is there already",
        "kept": "left as it is here",
        "left_out": "not carried",
    },
    "zh": {
        "would_add": "将添加",
        "added": "已添加",
        "there": "已经存在",
        "kept": "保持这里的现状",
        "left_out": "未迁移",
    },
}
REMARKS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "account_twice": "an account serves under one name only: it stands where it comes first",
        "auto_disabled": "disabled, because it was disabled there after failures; test it, then enable it",
        "deleted": "it is deleted there",
        "differs": "{fields} differ; change it here if you want it as it is there",
        "disabled": "disabled, as there",
        "disabled_there": "it is blocked there",
        "encrypted": "it is encrypted: name the variable with LITELLM_SALT_KEY (else the master key) in --key-from-env",
        "fields_lost": "without {fields}, which have no counterpart here",
        "group_as_models": "a group does not choose accounts here: it may use the models that {group} has there",
        "group_lost": "its group {group} does not choose accounts here; the accounts carry their groups as tags, which "
        "routes select by",
        "group_without_models": "disabled, because its group {group} has none of its models there",
        "group_ratio": "prices are the same for every key here: {ratios}",
        "invalid": "{detail}",
        "master_key": "it is no client key here; if programs send it, `filmgate keys create NAME --secret-env VARIABLE`",
        "name_taken": "another account has this name, with another address or secret: rename that one, and run this again",
        "narrow": "films and pictures of {vendor} only: its text models are not served here",
        "new_secret": "its secret can't be read there: it gets a new one",
        "no_adapter": "nothing here speaks the protocol of {vendor}",
        "no_candidate": "none of its accounts is here",
        "no_completion_ratio": "the ratio of its answers is not stored there; {price} US dollars per million input tokens: "
        "`filmgate prices set`",
        "no_models": "it serves no model there; here an account without models would serve every one",
        "no_price": "no price is stored there: without one they cost nothing here, and budgets don't count them; "
        "`filmgate prices set`",
        "not_in_file": "this file does not hold it: give the database, or `filmgate keys create`",
        "one_endpoint": "{address} is the address of one endpoint that is not known here; add it with its base address",
        "per_second": "per second of film, as it is charged there unless TASK_PRICE_PATCH names it",
        "period_lost": "its budget of {budget} dollars for {period} is one in total here: what is left of it",
        "proxy_elsewhere": "set it for single accounts (`accounts add --proxy`), or HTTPS_PROXY for all",
        "proxy_lost": "without its proxy: it must be like http://user:password@host:port",
        "rpm_lost": "without the requests a minute of its models: here they are the account's",
        "same_names": "these model names mean the same here: a route for sora-2, and one for sora-2-pro, serve all of them",
        "secret_missing": "disabled, because its API key is not there; put it in in the panel, then enable it",
        "service_ended": "a session at a web service that has ended; add an account of a vendor instead",
        "session": "a session of its own pages",
        "unit_unknown": "{price} US dollars, for each film or each second: that depends on the version there; "
        "`filmgate prices set`",
        "variable_missing": "disabled, because there is no variable {variable} here; set it and run this again on an empty "
        "store, or put the key in in the panel",
        "weak_secret": "its secret is too easy to guess here: it gets a new one",
        "wildcard": "a pattern that is translated to {model} has no counterpart; name the models",
        "wrong_key": "it is encrypted, and the key of --key-from-env does not open it",
    },
    "zh": {
        "account_twice": "一个账号在同一条路由里只能出现一次：保留它第一次出现的位置",
        "auto_disabled": "已停用，因为它在那边因连续失败被自动禁用；请先测试，再启用",
        "deleted": "它在那边已被删除",
        "differs": "{fields} 不同；如需与那边一致，请在这里修改",
        "disabled": "已停用，与那边一致",
        "disabled_there": "它在那边已被封禁",
        "encrypted": "它是加密的：请用 --key-from-env 指明保存 LITELLM_SALT_KEY（没有则用 master key）的环境变量",
        "fields_lost": "不含 {fields}，这里没有对应的设置",
        "group_as_models": "分组在这里不决定用哪些账号：它可以使用 {group} 分组在那边的模型",
        "group_lost": "它的分组 {group} 在这里不决定用哪些账号；账号以标签的形式保留分组，路由可按标签选择",
        "group_without_models": "已停用，因为它的分组 {group} 在那边没有它的任何模型",
        "group_ratio": "这里的价格对所有令牌都一样：{ratios}",
        "invalid": "{detail}",
        "master_key": "它在这里不是客户端令牌；如果有程序在用它，请运行 `filmgate keys create NAME --secret-env VARIABLE`",
        "name_taken": "另一个账号已用此名，但地址或密钥不同：请给那个账号改名后再运行一次",
        "narrow": "仅限 {vendor} 的影片和图片：它的文本模型在这里不提供",
        "new_secret": "它的密钥在那边无法读取：将得到新的密钥",
        "no_adapter": "这里没有支持 {vendor} 协议的服务商",
        "no_candidate": "它用到的账号都不在这里",
        "no_completion_ratio": "那边没有保存它的补全倍率；输入每百万 token {price} 美元：请运行 `filmgate prices set`",
        "no_models": "它在那边没有任何模型；而在这里，不写模型的账号会提供所有模型",
        "no_price": "那边没有保存价格：没有价格的模型在这里不收费，也不计入预算；请运行 `filmgate prices set`",
        "not_in_file": "这个文件里没有它：请改为指定数据库，或运行 `filmgate keys create`",
        "one_endpoint": "{address} 是单个接口的地址，这里不认识；请用基础地址添加",
        "per_second": "按影片秒数计价，与那边的收费方式一致（TASK_PRICE_PATCH 列出的模型除外）",
        "period_lost": "它每 {period} {budget} 美元的预算在这里变为总预算：只保留剩余部分",
        "proxy_elsewhere": "请为单个账号设置（`accounts add --proxy`），或用 HTTPS_PROXY 对全部生效",
        "proxy_lost": "不含它的代理：代理必须形如 http://user:password@host:port",
        "rpm_lost": "不含各模型的每分钟请求数：在这里它属于账号",
        "same_names": "这些模型名在这里含义相同：为 sora-2 和 sora-2-pro 各设一条路由即可全部提供",
        "secret_missing": "已停用，因为那边没有它的 API 密钥；请在面板中填入后启用",
        "service_ended": "这是一个已停止的网页服务的会话；请改为添加服务商账号",
        "session": "它自己管理页面的会话",
        "unit_unknown": "{price} 美元，按次还是按秒取决于那边的版本；请运行 `filmgate prices set`",
        "variable_missing": "已停用，因为这里没有环境变量 {variable}；请设置后在空的存储上重新运行，或在面板中填入密钥",
        "weak_secret": "它的密钥太容易被猜到：将得到新的密钥",
        "wildcard": "会被改写为 {model} 的通配名在这里没有对应；请逐个列出模型",
        "wrong_key": "它是加密的，而 --key-from-env 给出的密钥打不开",
    },
}
SENTENCES: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "counts": "{added} added, {there} there already, {kept} left as they are, {left_out} not carried.",
        "dry_counts": "{would_add} would be added, {there} are there already, {kept} would be left as they are, "
        "{left_out} would not be carried. Nothing was written.",
        "secrets": "New secrets. Save them now and give them to the keys' holders: the gateway keeps only hashes.",
        "separator": "; ",
    },
    "zh": {
        "counts": "已添加 {added} 项，已存在 {there} 项，保持现状 {kept} 项，未迁移 {left_out} 项。",
        "dry_counts": "将添加 {would_add} 项，已存在 {there} 项，将保持现状 {kept} 项，将不迁移 {left_out} 项。没有写入任何内容。",
        "secrets": "新的密钥。请立即保存并交给各令牌的使用者：网关只保存哈希。",
        "separator": "；",
    },
}
