/* lab/jsonrpc: each case is what a real Agave 3.0.14 was seen to answer. */
#include "lab/node/jsonrpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void call(void *arg, const char *method, const struct json *params, struct strbuf *result,
                 struct jsonrpc_error *e)
{
    int *calls = arg;

    ++*calls;
    if (str_eq(method, "pid") && jsonrpc_count(params, 0, e))
        strbuf_puts(result, "7");
    else if (str_eq(method, "getSlot") && jsonrpc_count(params, 1, e))
        strbuf_puts(result, "317");
    else if (!e->message)
        jsonrpc_fail(e, JSONRPC_METHOD_NOT_FOUND, "Method not found");
}

static const struct {
    const char *request, *answer;
    int calls;
} cases[] = {
    {"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"getSlot\"}",
     "{\"jsonrpc\":\"2.0\",\"result\":317,\"id\":\"x\"}\n", 1},
    {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"getSlot\"}",
     "{\"jsonrpc\":\"2.0\",\"result\":317,\"id\":null}\n", 1},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"getSlot\"}", "", 1},
    {"{\"id\":1,\"method\":\"getSlot\"}",
     "{\"error\":{\"code\":-32600,\"message\":\"Unsupported JSON-RPC protocol "
     "version\"},\"id\":1}\n",
     0},
    {"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"getSlot\"}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"Invalid request\"},\"id\":1}\n",
     0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"Invalid request\"},\"id\":1}\n",
     0},
    {"{}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"Invalid "
     "request\"},\"id\":null}\n",
     0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"getSlot\",\"params\":\"x\"}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600,\"message\":\"Invalid request\"},\"id\":1}\n",
     0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"getSlot\",\"params\":{\"a\":1}}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32602,\"message\":\"`params` should be an "
     "array\"},\"id\":1}\n",
     0},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"getSlot\",\"params\":[1,2,3]}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32602,\"message\":\"Invalid parameters: Expected "
     "from "
     "0 to 1 parameters.\",\"data\":\"\\\"Got: 3\\\"\"},\"id\":1}\n",
     1},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pid\",\"params\":[1]}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32602,\"message\":\"Invalid parameters: No "
     "parameters "
     "were expected\",\"data\":\"Array([Number(1)])\"},\"id\":1}\n",
     1},
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"noSuchMethod\"}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32601,\"message\":\"Method not "
     "found\"},\"id\":1}\n",
     1},
    {"{\"jsonrpc\":\"2.0\",\"id\":1",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}\n",
     0},
    {"",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}\n",
     0},
    {"{\"jsonrpc\":\"2.0\",\"id\":{\"a\":1},\"method\":\"getSlot\"}",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}\n",
     0},
    {"[1,2]",
     "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"Parse error\"},\"id\":null}\n",
     0},
    {"[]", "", 0},
    {"[{\"jsonrpc\":\"2.0\",\"method\":\"pid\"},{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"pid\"}]",
     "[{\"jsonrpc\":\"2.0\",\"result\":7,\"id\":2}]\n", 2},
};

static void answers_as_agave_does(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int calls = 0;
        AUTO(freep)
        char *answer = jsonrpc_answer(cases[i].request, strlen(cases[i].request), call, &calls);

        assert_string_equal(answer, cases[i].answer);
        assert_int_equal(calls, cases[i].calls);
    }
}

/* How many frames a stream falls into, and how many bytes are left. */
static void cuts_a_stream(void **state)
{
    static const struct {
        const char *stream;
        size_t frames, left;
    } streams[] = {
        {"{\"a\":[1,{}]}{\"b\":2}", 2, 0},
        {"{\"a\":\"}\\\"{\"}", 1, 0},
        {"{\"x\"", 0, 4},
        {"garbage\n", 4, 0},
        {"{} trailing", 5, 1},
        {"", 0, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
        const char *p = streams[i].stream;
        size_t left = strlen(p), n, frames = 0;

        for (; (n = jsonrpc_frame(p, left)) > 0; frames++) {
            p += n;
            left -= n;
        }
        assert_int_equal(frames, streams[i].frames);
        assert_int_equal(left, streams[i].left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_agave_does),
        cmocka_unit_test(cuts_a_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
