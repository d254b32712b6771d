/* mcp.c: attorn mcp ROUTE: MCP on stdio for a stock client. One delegated token opens the session and
 * lists; every tools/call goes out under a fresh capability for exactly its arguments. */
#include "app/cli/agent_side.h"
#include "app/cli/verbs.h"

static int mcp(cli_t *c)
{
	agent_t g;
	int status = agent_open(c, c->args[0], &g);

	if (status) {
		return status;
	}
	agent_close(&g);
	return cli_fail(EXIT_HERE, "not built yet");
}

static const cli_word_t words[] = {
	{ "", "ROUTE --agent A --key FILE --grant ID", "speak MCP on stdio for an agent", "kagi", 1, 1, mcp },
};

int cli_mcp(int argc, char **argv)
{
	return cli_words_run("mcp", words, ARRAY_LEN(words), argc, argv);
}
