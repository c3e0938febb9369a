/* config: types, origins, and one clear line for each fault. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/yaml.h"

static struct config *parse(const char *text)
{
    struct config *c = NULL;
    struct err *e = config_parse(text, strlen(text), "c.yaml", &c);

    if (e)
        fail_msg("%s", e->text);
    return c;
}

static void defaults_hold(void **state)
{
    AUTO(config_freep) struct config *c = parse("");

    assert_string_equal(c->storage.volume.mount, "/srv/solana");
    assert_string_equal(c->storage.volume.device, "");
    assert_int_equal(c->validator.uid, 1000);
    assert_false(c->validator.voting);
    assert_int_equal(c->cluster.references.n, 0);
    for (size_t i = 0; i < config_keys_n(); i++) {
        assert_int_equal(c->lines[i], 0);
        assert_non_null(config_keys[i].help);
        assert_non_null(config_keys[i].def);
    }
}

/* All keys of a section commented out. */
static void an_empty_section_is_fine(void **state)
{
    AUTO(config_freep) struct config *c = parse("validator:\nstorage:\n  # volume: {}\n");

    assert_int_equal(c->validator.uid, 1000);
}

static void every_key_says_what_it_takes(void **state)
{
    for (const struct config_key *k = config_keys; k->name; k++) {
        AUTO(freep) char *type = config_type_text(k);

        assert_true(strlen(type) > 5);
        assert_true(strlen(k->help) < 80);
        assert_true(k->type != CONFIG_CHOICE || k->choices);
        assert_true(k->type != CONFIG_NUMBER || k->max > 0);
    }
}

static void values_and_their_lines(void **state)
{
    AUTO(config_freep)
    struct config *c = parse("storage:\n"
                             "  volume: {device: /dev/sdb}\n"
                             "validator:\n"
                             "  voting: true\n"
                             "  identity: /k/id.json\n"
                             "  vote_account: /k/vote.json\n"
                             "  rpc_port: 9899\n"
                             "  args: [--a, \"5\", 'x y']\n"
                             "cluster:\n"
                             "  references:\n"
                             "    - http://127.0.0.1:8899\n");

    assert_string_equal(c->storage.volume.device, "/dev/sdb");
    assert_true(c->validator.voting);
    assert_int_equal(c->validator.rpc_port, 9899);
    assert_int_equal(c->validator.args.n, 3);
    assert_string_equal(c->validator.args.items[2], "x y");
    assert_string_equal(c->cluster.references.items[0], "http://127.0.0.1:8899");
    for (size_t i = 0; i < config_keys_n(); i++)
        if (strcmp(config_keys[i].name, "validator.rpc_port") == 0)
            assert_int_equal(c->lines[i], 7);
}

static void one_line_for_each_fault(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"validator: {ledgr: /a}",
         "c.yaml:1: unknown key 'validator.ledgr'; did you mean 'validator.ledger'?"},
        {"snapshot: {proxy: socks5://a:1}", "c.yaml:1: snapshot.proxy: it is not of the "
                                            "form http://host:port or socks5h://host:port"},
        {"snapshot: {proxy: http://a}", "c.yaml:1: snapshot.proxy: it is not of the "
                                        "form http://host:port or socks5h://host:port"},
        {"validator: {unit: sol}",
         "c.yaml:1: validator.unit: 'sol' is not the name of a service, such as "
         "agave-validator.service"},
        {"validator: {unit: /etc/sol.service}",
         "c.yaml:1: validator.unit: '/etc/sol.service' is not the name of a service, such as "
         "agave-validator.service"},
        {"validator: {unit: sol@.service}",
         "c.yaml:1: validator.unit: 'sol@.service' is a template: name the instance, such as "
         "agave@1.service"},
        {"snapshot: {proxy: http://a:1/x}", "c.yaml:1: snapshot.proxy: it is not of the "
                                            "form http://host:port or socks5h://host:port"},
        {"snapshot: {verify: most}",
         "c.yaml:1: snapshot.verify: 'most' is not one of: none, structure, full"},
        {"\nzzz: 1", "c.yaml:2: unknown key 'zzz'; 'agavectl config example' shows all keys"},
        {"validator: {rpc_port: 0}",
         "c.yaml:1: validator.rpc_port: '0' is not a number from 1 to 65534"},
        {"validator: {rpc_port: [1]}", "c.yaml:1: validator.rpc_port: must be one value"},
        {"validator: 5", "c.yaml:1: validator: must be a map of keys"},
        {"validator: {voting: yes}", "c.yaml:1: validator.voting: 'yes' is not true or false"},
        {"validator: {ledger: a}", "c.yaml:1: validator.ledger: 'a' is not an absolute path"},
        {"validator: {ledger: /a/../b}", "c.yaml:1: validator.ledger: '/a/../b' must not contain"
                                         " '..'"},
        {"validator: {ledger: }", "c.yaml:1: validator.ledger: has no value; write \"\" for an "
                                  "empty one, or leave the line out for the default"},
        {"validator: {vote_account: null}",
         "c.yaml:1: validator.vote_account: has no value; write \"\" for an empty one, or leave "
         "the line out for the default"},
        {"validator: {ledger: \"\"}", "c.yaml:1: validator.ledger: '' must not be empty"},
        {"validator:\n  log: \"/a\\e[31m\"",
         "c.yaml:2: validator.log: must not contain control characters"},
        {"\"validator\\n\": 1", "c.yaml:1: a key must not contain control characters"},
        {"\"\\x9b31m\": 1", "c.yaml:1: a key must not contain control characters"},
        {"validator: {args: [\"a\\Pb\"]}", /* U+2029, which YAML takes for a line's end */
         "c.yaml:1: validator.args: must not contain control characters"},
        {"validator.ledger: /a", "c.yaml:1: key 'validator.ledger' has a dot; write what follows "
                                 "it below what precedes it"},
        {"validator: {genesis_hash: 0OIl}",
         "c.yaml:1: validator.genesis_hash: '0OIl' is not 32 bytes in base58"},
        {"validator: {known_validators: [x]}",
         "c.yaml:1: validator.known_validators: 'x' is not 32 bytes in base58"},
        {"validator: {env: [A]}", "c.yaml:1: validator.env: 'A' is not of the form NAME=value"},
        {"validator: {args: [[a]]}", "c.yaml:1: validator.args: must be a list of texts"},
        {"validator:\n  snapshots: /a\n  ledger: /a\n",
         "c.yaml:3: validator.ledger and validator.snapshots are both '/a'; they must differ"},
        {"storage: {volume: {device: /d}, ramdisk: {device: /d}}",
         "c.yaml:1: storage.volume.device and storage.ramdisk.device are both '/d'; they must "
         "differ"},
        {"storage:\n  ramdisk: {mount: /srv/solana}\n",
         "c.yaml:2: storage.volume.mount and storage.ramdisk.mount are both '/srv/solana'; they "
         "must differ"},
        {"\nstorage: {kind_root: \"\"}",
         "c.yaml:2: storage.bind needs storage.kind_root; set both or none"},
        {"stop:\n  # \xff", "c.yaml:2: invalid leading UTF-8 octet"},
        {"validator:\n\tvoting: true", "c.yaml:2: a tab indents this line; YAML wants blanks"},
        {"validator: {runtime: docker}",
         "c.yaml:1: validator.runtime: 'docker' is not one of: process, systemd, kubernetes"},
        {"validator: {dynamic_port_range: 8000-8010}",
         "c.yaml:1: validator.dynamic_port_range: '8000-8010' is too narrow: at least 25 ports "
         "are needed"},
        {"validator: {bind_address: localhost}",
         "c.yaml:1: validator.bind_address: 'localhost' is not an IPv4 address"},
        {"cluster: {references: x}", "c.yaml:1: cluster.references: must be a list"},
        {"cluster: {references: [ftp://x]}",
         "c.yaml:1: cluster.references: 'ftp://x' is not an http or https URL"},
        {"validator: {entrypoints: [host]}",
         "c.yaml:1: validator.entrypoints: 'host' is not of the form host:port"},
        {"validator: {uid: 1, uid: 2}", "c.yaml:1: duplicate key 'uid'"},
        {"- a", "c.yaml:1: the config must be a map of keys"},
        {"a: &x 1", "c.yaml:1: anchors are not allowed"},
        {"validator: {voting: true}",
         "c.yaml:1: validator.voting needs validator.identity and validator.vote_account"},
        {"validator: {runtime: kubernetes}\nstop: {ladder_s: 59}",
         "c.yaml:2: stop.ladder_s below 60 is for the runtime 'process' only"},
        {"storage: {bind: /elsewhere}", "c.yaml:1: storage.bind is not below storage.kind_root"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = NULL;
        AUTO(err_freep)
        struct err *e = config_parse(cases[i].text, strlen(cases[i].text), "c.yaml", &c);

        assert_null(c);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
        assert_string_equal(e->text, cases[i].want);
    }
}

static void all_faults_at_once(void **state)
{
    struct config *c = NULL;
    static const char text[] = "stop: {ladder_s: 1}\nup: {tip_slots: x}\nfoo: 1\n";
    AUTO(err_freep) struct err *e = config_parse(text, strlen(text), "c", &c);

    assert_string_equal(e->text, "c:1: stop.ladder_s: '1' is not a number from 5 to 7200\n"
                                 "c:2: up.tip_slots: 'x' is not a number from 0 to 100000\n"
                                 "c:3: unknown key 'foo'; 'agavectl config example' shows all "
                                 "keys");
}

/* What is made needs a size, and its driver's name. */
static void a_ram_disk_is_of_one_kind(void **state)
{
    static const struct {
        const char *keys, *says; /* NULL: nothing */
    } cases[] = {
        {"kind: brd, device: /dev/ram0, size_gib: 600", NULL},
        {"kind: zram, device: /dev/zram63, size_gib: 1", NULL},
        {"kind: tmpfs, size_gib: 600", NULL},
        {"kind: none", NULL},
        {"kind: device, device: /dev/sdb", NULL},
        {"kind: brd, device: /dev/ram0", "need storage.ramdisk.size_gib"},
        {"kind: tmpfs", "need storage.ramdisk.size_gib"},
        {"kind: brd, device: /dev/zram0, size_gib: 1", "brd needs storage.ramdisk.device"},
        {"kind: brd, size_gib: 1", "brd needs storage.ramdisk.device"},
        {"kind: zram, device: /dev/zram64, size_gib: 1", "zram needs storage.ramdisk.device"},
        {"kind: zram, device: /dev/zram, size_gib: 1", "zram needs storage.ramdisk.device"},
        {"kind: tmpfs, device: /dev/ram0, size_gib: 1", "have no storage.ramdisk.device"},
        {"kind: none, device: /dev/ram0", "have no storage.ramdisk.device"},
        {"kind: hugetlbfs", "storage.ramdisk.kind"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(freep) char *text = xasprintf("storage:\n  ramdisk: {%s}\n", cases[i].keys);
        AUTO(config_freep) struct config *c = NULL;
        AUTO(err_freep) struct err *e = config_parse(text, strlen(text), "c", &c);

        assert_int_equal(e == NULL, cases[i].says == NULL);
        if (e && !strstr(e->text, cases[i].says))
            fail_msg("%s: %s", cases[i].keys, e->text);
    }
}

/* The example is a config, and it says what the defaults are. */
static void the_example_is_the_defaults(void **state)
{
    AUTO(freep) char *text = config_example();
    AUTO(config_freep) struct config *c = parse(text);
    AUTO(config_freep) struct config *d = parse("");

    for (const struct config_key *k = config_keys; k->name; k++) {
        AUTO(freep) char *a = config_value(c, k);
        AUTO(freep) char *b = config_value(d, k);

        assert_string_equal(a, b);
        assert_int_not_equal(c->lines[k - config_keys], 0);
    }
}

static void values_survive_printing(void **state)
{
    AUTO(config_freep)
    struct config *c = parse("validator: {args: [\"a \\\"b\\\" \\\\ #c\", \"-x\", \"\\u00e4\"]}");

    for (const struct config_key *k = config_keys; k->name; k++) {
        AUTO(freep) char *value = config_value(c, k);
        AUTO(freep) char *text = NULL;

        if (strcmp(k->name, "validator.args") != 0)
            continue;
        text = xasprintf("validator: {args: %s}", value);
        AUTO(config_freep) struct config *again = parse(text);
        assert_int_equal(again->validator.args.n, 3);
        for (size_t i = 0; i < 3; i++)
            assert_string_equal(again->validator.args.items[i], c->validator.args.items[i]);
    }
}

/* "null" without quotes would be no value at all. */
static void null_in_quotes_is_a_text(void **state)
{
    AUTO(config_freep) struct config *c = parse("validator: {bin: \"null\"}");

    for (const struct config_key *k = config_keys; k->name; k++) {
        AUTO(freep) char *value = config_value(c, k);

        if (strcmp(k->name, "validator.bin") == 0)
            assert_string_equal(value, "\"null\"");
    }
}

static struct config_remark only_two(void *arg, const struct config_key *k)
{
    bool ledger = str_eq(k->name, "validator.ledger"), uid = str_eq(k->name, "validator.uid");

    return (struct config_remark){
        .write = ledger, .comment = ledger || uid ? xasprintf("of %s\nindeed", k->name) : NULL};
}

static void keys_are_set_and_printed_one_by_one(void **state)
{
    AUTO(config_freep) struct config *c = config_defaults();
    AUTO(config_freep) struct config *again = NULL;
    AUTO(strlist_clear) struct strlist one = {0}, two = {0};
    const struct config_key *ledger = config_find_key("validator.ledger");

    strlist_add(&one, "/a b");
    assert_null(config_set(c, ledger, &one));
    AUTO(freep) char *text = config_print(c, "top", only_two, NULL);
    assert_string_equal(text, "# top\n"
                              "\n"
                              "validator:\n"
                              "  # of validator.uid\n"
                              "  # indeed\n"
                              "  # of validator.ledger\n"
                              "  # indeed\n"
                              "  ledger: \"/a b\"\n");
    assert_null(config_parse(text, strlen(text), "t", &again));
    assert_string_equal(again->validator.ledger, "/a b");

    strlist_add(&two, "/x");
    strlist_add(&two, "/y");
    struct err *e = config_set(c, ledger, &two);
    assert_string_equal(e->text, "validator.ledger: must be one value");
    err_free(e);
    e = config_set(c, config_find_key("validator.entrypoints"), &two);
    assert_string_equal(e->text, "validator.entrypoints: '/x' is not of the form host:port");
    err_free(e);
    e = config_set(c, config_find_key("validator.uid"), &one);
    assert_int_equal(e->kind, ERR_BADINPUT);
    err_free(e);
    assert_string_equal(c->validator.ledger, "/a b"); /* a failure changes nothing */
    assert_null(config_find_key("validator"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold),
        cmocka_unit_test(an_empty_section_is_fine),
        cmocka_unit_test(every_key_says_what_it_takes),
        cmocka_unit_test(values_and_their_lines),
        cmocka_unit_test(one_line_for_each_fault),
        cmocka_unit_test(all_faults_at_once),
        cmocka_unit_test(a_ram_disk_is_of_one_kind),
        cmocka_unit_test(the_example_is_the_defaults),
        cmocka_unit_test(values_survive_printing),
        cmocka_unit_test(null_in_quotes_is_a_text),
        cmocka_unit_test(keys_are_set_and_printed_one_by_one),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
