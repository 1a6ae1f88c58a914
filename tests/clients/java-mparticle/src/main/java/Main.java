import com.google.gson.Gson;
import com.mparticle.ApiClient;
import com.mparticle.client.EventsApi;
import com.mparticle.model.Batch;
import com.mparticle.model.CommerceEvent;
import com.mparticle.model.CommerceEventData;
import com.mparticle.model.CustomEvent;
import com.mparticle.model.CustomEventData;
import com.mparticle.model.Product;
import com.mparticle.model.ProductAction;
import com.mparticle.model.ScreenViewEvent;
import com.mparticle.model.ScreenViewEventData;
import com.mparticle.model.UserIdentities;
import java.io.IOException;
import java.math.BigDecimal;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Makes both calls of mParticle's SDK. KEY, SECRET, HOST and USER_ID come from the environment. The
 * last line it prints is JSON: the statuses.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws IOException {
        Map<String, String> given = System.getenv();
        String user = given.get("USER_ID");
        ApiClient client = new ApiClient(given.get("KEY"), given.get("SECRET"));
        client.getAdapterBuilder().baseUrl(given.get("HOST") + "/v2/");
        EventsApi api = client.createService(EventsApi.class);

        Batch one = batchOf(user);
        Map<String, Object> attributes = new HashMap<>();
        attributes.put("tier", "gold");
        attributes.put("tags", Arrays.asList("a", "b"));
        one.userAttributes(attributes);
        one.addEventsItem(new CustomEvent().data(new CustomEventData()
            .eventName("Opened")
            .customEventType(CustomEventData.CustomEventType.NAVIGATION)));
        one.addEventsItem(screen());
        Product product = new Product()
            .totalProductAmount(new BigDecimal("123.12"))
            .id("product-id")
            .name("product-name");
        one.addEventsItem(new CommerceEvent().data(new CommerceEventData()
            .productAction(new ProductAction()
                .action(ProductAction.Action.PURCHASE)
                .totalAmount(new BigDecimal("123.12"))
                .transactionId("t1")
                .products(Arrays.asList(product)))));
        int single = api.uploadEvents(one).execute().code();

        Batch other = batchOf(user + "-bulk");
        other.addEventsItem(screen());
        int bulk = api.bulkUploadEvents(Arrays.asList(other)).execute().code();

        System.out.println(new Gson().toJson(List.of(single, bulk)));
        System.exit(0);
    }

    private static Batch batchOf(String user) {
        Batch batch = new Batch();
        batch.environment(Batch.Environment.PRODUCTION);
        batch.userIdentities(new UserIdentities()
            .customerId(user)
            .email(user + "@example.test"));
        return batch;
    }

    private static ScreenViewEvent screen() {
        return new ScreenViewEvent().data(new ScreenViewEventData().screenName("Home"));
    }
}
