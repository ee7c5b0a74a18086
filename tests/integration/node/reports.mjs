export async function* pagesOf(paginate, client, input) {
  for await (const page of paginate({ client, pageSize: 1 }, { ...input, Limit: undefined })) {
    yield page;
  }
}
